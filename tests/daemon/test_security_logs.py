"""Nothing that a client sends can break a log line, mint a metric, or be told to it in an internal error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.request import middlewares, serve
from tests.daemon.raw import connected, exchange, message
from tests.daemon.running import KEY, Gateway, configured, running
from tests.daemon.stand import HELLO, chat
from tests.daemon.stand import KEY as STAND_KEY
from tests.fakes.daemon import Daemon

ECHO = {"id": "up", "type": "echo", "model": "gpt-4o"}
NASTY = '\r\n{"level":"error","message":"forged"}\r\n\x1b[31m\x00\x7f\x85\u2028\u202eevil\ud800'


def lines_of(text: str) -> list[dict[str, Any]]:
    """Every line, which must be one JSON object free of anything that a terminal or a pager would act on."""
    found = []
    for line in text.split("\n"):
        if line:
            assert line.isprintable(), repr(line)
            found.append(json.loads(line))
    return found


async def test_every_log_line_is_one_json_object(tmp_path: Path) -> None:
    config = {
        "logging": {"level": "debug", "file": {"path": "gateway.log"}, "audit": {"enabled": False}},
        "llm_providers": [ECHO],
        "api_keys": [{"id": "one", "key": STAND_KEY}],
    }
    raw = NASTY.encode("utf-8", "surrogatepass")
    quoted = "".join(f"%{byte:02x}" for byte in raw)
    names = [NASTY.replace("\ud800", ""), f"up:{NASTY[2:40]}", "<script>", "é😀\u2028", "up:\u202e\x85"]
    sent = [
        message(f"GET /v1/{quoted}"),
        message(f"POST /v1/models/{quoted}"),
        b"GET /v1/" + raw + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        chat(HELLO, [("User-Agent", raw)]),
        chat(HELLO, [("User-Agent", raw.replace(b"\r\n", b"").replace(b"\0", b""))]),
        chat(HELLO, [("X-Request-Id", b"a\tb\x85\xe2\x80\xa8")]),
        *(chat({**HELLO, "model": name}) for name in names),
        *(
            chat({**HELLO, "model": f"up:{name}"})
            for name in ("a\u2028b", "'\"\\", "sk-proj-0123456789abcdef")
        ),
        raw,
    ]
    async with Daemon(config, tmp_path) as daemon:
        for data in sent:
            async with connected(daemon.port) as peer:
                await peer.send(data)
                peer.writer.write_eof()
                await peer.closed()
    for text in (daemon.stderr, (tmp_path / "gateway.log").read_text()):
        for line in lines_of(text):
            assert {"time", "level", "message"} <= line.keys()
            assert line["message"] != "forged"
    records = [
        line for line in lines_of((tmp_path / "gateway.log").read_text()) if line["message"] == "request"
    ]
    assert len(records) >= 8


async def test_no_client_can_mint_a_label(tmp_path: Path) -> None:
    async with running(configured({**ECHO, "model": "m"}), tmp_path) as gateway:

        async def series() -> set[bytes]:
            text = (await exchange(gateway.port, message("GET /metrics"))).body
            return {line.rpartition(b" ")[0] for line in text.splitlines() if line.startswith(b"coo_llm")}

        async def round_of(number: int) -> None:
            for model in (f"none-{number}", f"up:made-up-{number}", f"echo:made-up-{number}"):
                await gateway.ask(model=model)
            await exchange(gateway.port, message(f"GET /v1/path-{number}"))
            await exchange(gateway.port, message("GET /v1/models", [("x-api-key", f"key-{number}")]))

        await gateway.ask(model="m")
        await round_of(0)
        before = await series()
        for number in range(1, 30):
            await round_of(number)
        assert await series() == before


LAST_CHUNK = "0\r\n\r\n"
SECRET_WORDS = "secret words of a dependency"


def broken(*_: object, **__: object) -> Any:
    raise RuntimeError(SECRET_WORDS)


def break_store(gateway: Gateway, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(gateway.live.store, "reserve", broken)


def break_resolution(gateway: Gateway, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(serve, "resolve", broken)


def break_algorithm(gateway: Gateway, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(type(gateway.live.current.algorithm), "rank", broken)


def break_authentication(gateway: Gateway, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(middlewares, "authenticate", broken)


def break_accounts(gateway: Gateway, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(serve, "close_books", broken)
    patch.setattr("gateway.request.ending.close_books", broken)


def break_metrics(gateway: Gateway, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(type(gateway.live.metrics), "request", broken)


def break_upstream_plugin(gateway: Gateway, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(type(gateway.live.current.catalog.services["up"].plugin), "prepare", broken)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "damage",
    [
        *(break_store, break_resolution, break_algorithm, break_authentication, break_accounts),
        *(break_metrics, break_upstream_plugin),
    ],
    ids=lambda damage: damage.__name__.removeprefix("break_"),
)
async def test_an_internal_error_is_told_without_its_words(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[Gateway, pytest.MonkeyPatch], None],
    streamed: bool,
) -> None:
    """Each part that a request needs fails; no request is served for it, and none is left waiting."""
    async with running(configured({**ECHO, "model": "m"}), tmp_path) as gateway:
        with monkeypatch.context() as patch:
            damage(gateway, patch)
            body = {**HELLO, "model": "m", "stream": streamed}
            async with connected(gateway.port) as peer:
                credentials = [("Authorization", f"Bearer {KEY}"), ("Connection", "close")]
                await peer.send(message("POST /v1/chat/completions", credentials, json.dumps(body).encode()))
                said = (await peer.closed()).decode()
        assert SECRET_WORDS not in said and "RuntimeError" not in said and "Traceback" not in said
        assert said.count("HTTP/1.1 ") == 1
        # A stream that has begun can only be cut off: neither `[DONE]` nor its last chunk comes.
        assert "internal_error" in said or (
            streamed and "[DONE]" not in said and not said.endswith(LAST_CHUNK)
        )
        assert (await gateway.ask())[0] == 200
