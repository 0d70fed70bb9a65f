"""A provider's key stays with the gateway, even where the provider says it aloud."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest

from tests.daemon.raw import connected, exchange, message
from tests.daemon.running import configured, running
from tests.daemon.stand import ADMIN, BEARER, HELLO, KEY, chat
from tests.fakes.chat import chat_answer, chat_stream_events, error_body
from tests.fakes.daemon import Daemon
from tests.fakes.nasty import NastyServer, Step
from tests.fakes.steps import (
    LAST_CHUNK,
    answer,
    broken_stream,
    chunks,
    open_stream,
    redirect,
    send,
    stream,
    truncated,
)

SHAPED = "sk-proj-CANARY-0123456789-abcdefghij"
ODD = 'CANARY/with+"signs"/0123456789/klmnop'


def forms(key: str) -> dict[str, str]:
    """The key as an upstream may write it."""
    return {
        "plain": key,
        "json": orjson.dumps(key).decode()[1:-1],
        "url": quote(key, safe=""),
        "base64": base64.b64encode(b"Bearer " + key.encode()).decode(),
    }


def echoes(key: str) -> Iterator[tuple[str, tuple[Step, ...]]]:
    """What an upstream might answer that holds the key."""
    html = {"Content-Type": "text/html"}
    for name, form in forms(key).items():
        for status in (400, 401, 404, 422, 429, 500):
            yield f"{status} {name}", answer(status, error_body(f"You sent {form}."))
        yield f"long {name}", answer(400, error_body("x" * 480 + form))
        yield f"400 as text, {name}", answer(400, b"no: " + form.encode(), html)
        yield f"error in 200, {name}", answer(200, orjson.dumps({"error": {"message": form, "code": form}}))
        event = b"data: " + error_body(form) + b"\n\n"
        yield f"error in a stream, {name}", stream([event])
        yield f"error after content, {name}", stream([*chat_stream_events()[:2], event])
        yield f"redirect, {name}", redirect(f"http://127.0.0.1:9/?key={quote(form)}")
    yield "code", answer(400, error_body("no", code=key))
    yield "param", answer(400, orjson.dumps({"error": {"message": "no", "param": key}}))
    yield "request id", answer(headers={"x-request-id": key})
    yield "header", answer(headers={"X-Echo": f"Bearer {key}"})
    yield "html", answer(200, f"<p>{key}".encode(), html)
    yield "malformed", answer(200, b'{"choices": [' + key.encode())
    yield "truncated", truncated(orjson.dumps({"x": key, "y": " " * 50}))
    yield "answer", answer(200, chat_answer(key))
    yield "stream", stream([*chat_stream_events()[:1], *chat_stream_events([key])[1:]])
    for size in (1, len(key) - 1):
        body = chat_answer(key)
        pieces = chunks(*(body[at : at + size] for at in range(0, len(body), size)))
        open_json = open_stream({"Content-Type": "application/json"})
        yield f"answer in pieces of {size}", (open_json, pieces, send(LAST_CHUNK))
        yield f"stream in pieces of {size}", stream(chat_stream_events(["Hello", key]), cut=size)
    yield "broken event", stream([b"data: {" + key.encode() + b"\n\n"])
    yield "broken stream", broken_stream([b": " + key.encode() + b"\n\n"])


def told(place: str, text: str, key: str) -> None:
    """Fail if ``text`` holds the key in some form; what cannot be told from a part of it is found as well."""
    for form in {*forms(key).values(), *forms(key)["base64"].split("=")} - {""}:
        assert form not in text, f"{place}: {text[:500]}"
    assert "CANARY" not in text, f"{place}: {text[:500]}"


@pytest.mark.parametrize("key", [SHAPED, ODD], ids=["shaped", "odd"])
async def test_a_providers_key_is_seen_nowhere(tmp_path: Path, key: str) -> None:
    """Every echo comes from a provider of its own, for a key that was once refused is not used again."""
    cases = [(name, steps, streamed) for name, steps in echoes(key) for streamed in (False, True)]
    async with NastyServer() as upstream:
        upstream.models = {f"m{number}": steps for number, (_, steps, _) in enumerate(cases)}
        provider = {"type": "openai", "base_url": upstream.url}
        config = {
            "server": {"admin_api_key": ADMIN},
            "logging": {"level": "debug", "audit": {"enabled": False}, "file": {"path": "gateway.log"}},
            "llm_providers": [
                {**provider, "id": f"p{number}", "api_keys": [key]} for number in range(len(cases))
            ],
            "api_keys": [{"id": "one", "key": KEY}],
            "policy": {"retry": {"max_attempts": 1}},
        }
        async with Daemon(config, tmp_path) as daemon:
            for number, (name, _, streamed) in enumerate(cases):
                body = {**HELLO, "model": f"p{number}:m{number}", "stream": streamed}
                async with connected(daemon.port) as peer:
                    await peer.send(chat(body, [("Connection", "close")]))
                    told(name, (await peer.closed()).decode("latin-1"), key)
            assert {request.json()["model"] for request in upstream.requests} == upstream.models.keys()
            for path in ("/metrics", "/admin/v1/config", "/health", "/v1/models"):
                credentials = [("Authorization", f"Bearer {ADMIN}")] if "admin" in path else BEARER
                got = await exchange(daemon.port, message(f"GET {path}", credentials))
                assert got.status == 200
                told(path, got.body.decode(), key)
        told("stderr", daemon.stderr, key)
        told("log", (tmp_path / "gateway.log").read_text(), key)
        assert "a provider sent the gateway's key back" in daemon.stderr


@pytest.mark.parametrize("method", ["prepare", "reader", "diagnose", "serve"])
async def test_what_a_plugin_raises_is_logged_without_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Be it the key of the start, or one that a reload brought."""
    log = tmp_path / "gateway.log"
    logging = {"file": {"path": str(log)}, "audit": {"enabled": False}}
    echo = {"id": "up", "type": "echo", "model": "m", "failure_rate": 1 if method == "diagnose" else 0}
    keys = [ODD, f"{ODD}-of-the-reload"]
    async with running(configured({**echo, "api_keys": keys[:1]}, logging=logging), tmp_path) as gateway:
        for key in keys:
            if key != keys[0]:
                await gateway.reload(llm_providers=[{**echo, "api_keys": [key]}])

            def broken(*_: object, key: str = key) -> None:
                raise RuntimeError(f"boom {key}, or {quote(key)}")

            plugin = gateway.live.current.catalog.services["up"].plugin
            with monkeypatch.context() as patch:
                patch.setattr(type(plugin), method, broken)
                assert (await gateway.ask())[0] >= 500
    text = log.read_text()
    assert text.count('"error":"RuntimeError: boom [removed], or [removed]"') >= 2
    told("log", text, ODD)
