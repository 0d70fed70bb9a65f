"""The response cache through a whole gateway: what is a hit, what it says and costs, and what is none."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from openai import AsyncOpenAI

from gateway.api import Refusal, StoreUnavailable
from gateway.request import cache
from tests.clients.world import CHAT as CHATS
from tests.clients.world import KINDS, serving
from tests.clients.world import TOOLS as WORLD_TOOLS
from tests.daemon.running import HELLO, KEY, Clock, Gateway, configured, events_of, openai, running, text_of
from tests.fakes.openai import FakeOpenAI
from tests.fakes.upstream import Fault

PRICES = {"input_token_cost": 0.001, "output_token_cost": 0.01}
TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]
ON = {"enabled": True, "coalesce": False}
CHAT = "/v1/chat/completions"


def caching(url: str, *clients: dict[str, Any], **settings: Any) -> dict[str, Any]:
    config = configured(openai(url, pricing=PRICES, models=["gpt-4o-mini", "gpt-3.5-turbo-instruct"]))
    if clients:
        config["api_keys"] = list(clients)
    return {**config, "policy": {"cache": {**ON, **settings}}}


async def post(gateway: Gateway, path: str, body: Any, **headers: str) -> tuple[int, bytes, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body)
    async with gateway.session.post(
        gateway.url + path, data=data, headers={**gateway.headers, **headers}
    ) as response:
        return response.status, await response.read(), response.headers


def body(**more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": HELLO, **more}


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        (CHAT, body(seed=1)),
        (CHAT, body(tools=TOOLS, messages=[{"role": "user", "content": "use tools"}])),
        ("/v1/completions", {"model": "gpt-3.5-turbo-instruct", "prompt": "Hello", "n": 2}),
        ("/v1/embeddings", {"model": "up:text-embedding-3-small", "input": ["one", "two"]}),
    ],
    ids=["chat", "tools", "completions", "embeddings"],
)
async def test_a_hit_is_the_same_answer_at_no_cost(
    path: str, asked: dict[str, Any], fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    async with running(caching(fake_openai.url), tmp_path) as gateway:
        status, first, headers = await post(gateway, path, asked)
        assert (status, headers["x-coo-cache"], headers["x-coo-attempts"]) == (200, "miss", "1")
        again = dict(reversed(asked.items()))
        status, second, hit = await post(gateway, "/api" + path, {**again, "user": "somebody"})
        assert (status, hit["x-coo-cache"], hit["x-coo-attempts"]) == (200, "hit", "0")
        assert hit["x-coo-cost"] == "0"
        for name in ("x-coo-provider", "x-coo-model", "x-coo-key"):
            assert hit[name] == headers[name]
        assert json.loads(second)["usage"]["cost"] == 0
        assert second == re.sub(rb'"cost":[0-9.nul]+', b'"cost":0', first)
        assert len(fake_openai.requests) == 1
        record, asked_for = await gateway.records(2)
        assert (record.cache, asked_for.cache) == ("hit", "miss")
        assert (record.provider, record.attempts, record.cost_nano_usd) == ("up", [], 0)
        assert (record.input_tokens, record.output_tokens, record.status) == (0, 0, 200)
        samples = await gateway.samples()
        assert samples.sum("cache_events_total", event="hit") == 1
        assert samples.sum("cache_events_total", event="miss") == 1


async def test_embeddings_are_no_stream(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    asked = {"model": "up:text-embedding-3-small", "input": "one"}
    async with running(caching(fake_openai.url), tmp_path) as gateway:
        await post(gateway, "/v1/embeddings", asked)
        status, answer, headers = await post(gateway, "/v1/embeddings", {**asked, "stream": True})
        assert (status, headers["x-coo-cache"], json.loads(answer)["object"]) == (200, "hit", "list")


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"tools": TOOLS, "messages": [{"role": "user", "content": "use tools"}]},
        {"n": 2, "logprobs": True, "top_logprobs": 1},
        {"max_tokens": 1},
        {"messages": [{"role": "user", "content": "please refuse"}]},
    ],
    ids=["text", "tools", "choices", "cut off", "refusal"],
)
@pytest.mark.parametrize("first", ["whole", "stream"])
async def test_a_stream_and_a_whole_answer_serve_each_other(
    first: str, more: dict[str, Any], fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    async with running(caching(fake_openai.url), tmp_path) as gateway:
        client = AsyncOpenAI(api_key=KEY, base_url=gateway.url + "/v1", max_retries=0)
        asked = body(**more)
        if first == "whole":
            await client.chat.completions.create(**asked)
        else:
            async with client.chat.completions.stream(**asked) as stream:
                async for _ in stream:
                    pass
        whole = await client.chat.completions.create(**asked)
        async with client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as stream:
            async for _ in stream:
                pass
            streamed = stream.current_completion_snapshot
        assert len(fake_openai.requests) == 1
        assert whole.usage is not None and streamed.usage is not None
        assert whole.usage.total_tokens == streamed.usage.total_tokens > 0
        for one, other in zip(whole.choices, streamed.choices, strict=True):
            assert one.finish_reason == other.finish_reason
            assert one.message.content == other.message.content
            assert one.message.refusal == other.message.refusal
            assert (one.logprobs and one.logprobs.content) == (other.logprobs and other.logprobs.content)
            calls = [(c.id, c.function) for c in one.message.tool_calls or ()]
            assert [c[0] for c in calls] == [c.id for c in other.message.tool_calls or ()]
            assert [c[1].arguments for c in calls] == [
                c.function.arguments for c in other.message.tool_calls or ()
            ]
        await client.close()


@pytest.mark.parametrize("first", ["whole", "stream"])
@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_translated_is_kept_as_well(kind: str, first: str, tmp_path: Path) -> None:
    asked = {
        "model": CHATS[kind],
        "messages": [{"role": "user", "content": "use tools"}],
        "tools": WORLD_TOOLS,
    }
    async with serving(tmp_path, policy={"cache": ON}) as world:
        gateway = world.gateway
        await (gateway.ask if first == "whole" else gateway.stream)(**asked)
        _, whole, _ = await gateway.ask(**asked)
        _, events, _ = await gateway.stream(**asked, stream_options={"include_usage": True})
        assert len(world.fakes[kind].requests) == 1
        (choice,) = whole["choices"]
        deltas = [chunk["choices"][0]["delta"] for chunk in events[:-2]]
        calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
        assert [{**call, "index": at} for at, call in enumerate(choice["message"]["tool_calls"])] == calls
        assert events[-2]["usage"] == whole["usage"]
        assert whole["usage"]["total_tokens"] > whole["usage"]["cost"] == 0


@pytest.mark.parametrize("usage", [False, True])
async def test_the_form_of_a_stream_from_the_cache(
    usage: bool, fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    options = {"stream_options": {"include_usage": usage}}
    async with running(caching(fake_openai.url), tmp_path) as gateway:
        _, whole, _ = await gateway.ask(model="gpt-4o")
        status, events, headers = await gateway.stream(model="gpt-4o", **options)
        assert (status, headers["x-coo-cache"], events[-1]) == (200, "hit", "[DONE]")
        assert headers["content-type"].startswith("text/event-stream")
        assert "x-coo-cost" not in headers
        assert text_of(events) == whole["choices"][0]["message"]["content"]
        chunks = events[:-1]
        assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
        assert {chunk["id"] for chunk in chunks} == {whole["id"]}
        assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
        if usage:
            assert [chunk["usage"] for chunk in chunks[:-1]] == [None, None, None]
            assert chunks[-1]["choices"] == []
            assert chunks[-1]["usage"] == {**whole["usage"], "cost": 0}
        else:
            assert all("usage" not in chunk for chunk in chunks)
        (record,) = await gateway.records(1)
        assert (record.cache, record.stream) == ("hit", True)
        assert record.first_token_ms is not None


async def test_legacy_completions_are_streamed_from_the_cache(
    fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    asked = {"model": "gpt-3.5-turbo-instruct", "prompt": "Hello"}
    async with running(caching(fake_openai.url), tmp_path) as gateway:
        _, whole, _ = await post(gateway, "/v1/completions", asked)
        _, streamed, headers = await post(gateway, "/v1/completions", {**asked, "stream": True})
        assert headers["x-coo-cache"] == "hit"
        (chunk, done) = events_of(streamed)
        assert done == "[DONE]"
        assert chunk["choices"] == json.loads(whole)["choices"]


async def test_what_differs_is_another_request(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    async with running(caching(fake_openai.url), tmp_path) as gateway:
        bodies = [
            body(),
            body(temperature=1),
            body(temperature=1.0),
            body(model="gpt-4o-mini"),
            body(model="up:gpt-4o"),
            body(messages=[{"role": "user", "content": "hello"}]),
            body(metadata={"a": "b"}, store=True),
        ]
        for asked in bodies:
            assert (await post(gateway, CHAT, asked))[2]["x-coo-cache"] == "miss"
        for asked in bodies:
            assert (await post(gateway, CHAT, asked))[2]["x-coo-cache"] == "hit"
        assert len(fake_openai.requests) == len(bodies)


async def test_it_ends_after_its_time(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    clock = Clock()
    async with running(caching(fake_openai.url, ttl_seconds=5), tmp_path, clock=clock) as gateway:
        caches = []
        for passed in (0, 4.9, 0.2, 0):
            clock.now += passed
            caches.append((await gateway.ask(model="gpt-4o"))[2]["x-coo-cache"])
        assert caches == ["miss", "hit", "miss", "hit"]


@pytest.mark.parametrize(("shared", "calls"), [(False, 2), (True, 1)])
async def test_clients_share_only_where_told_to(
    shared: bool, calls: int, fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    clients = [{"id": "one", "key": KEY}, {"id": "two", "key": "sk-two"}]
    async with running(caching(fake_openai.url, *clients, shared=shared), tmp_path) as gateway:
        for key in (KEY, "sk-two", KEY, "sk-two"):
            assert (await gateway.of(key).ask(model="gpt-4o"))[0] == 200
        assert len(fake_openai.requests) == calls


async def test_a_shared_answer_stays_with_those_who_may_use_its_provider(tmp_path: Path) -> None:
    providers = [{"id": name, "type": "echo", "model": "m"} for name in ("a", "b")]
    clients = [
        {"id": "one", "key": KEY},
        {"id": "two", "key": "sk-two", "allowed_providers": ["b"]},
        {"id": "three", "key": "sk-three", "allowed_models": ["m"]},
    ]
    config = {**configured(*providers, api_keys=clients), "policy": {"cache": {**ON, "shared": True}}}
    async with running(config, tmp_path) as gateway:
        for key in (KEY, "sk-two", "sk-three"):
            assert (await gateway.of(key).ask())[2]["x-coo-cache"] == "miss"
            _, _, headers = await gateway.of(key).ask()
            assert headers["x-coo-cache"] == "hit"
            assert key != "sk-two" or headers["x-coo-provider"] == "b"


async def test_cache_control(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    async with running(caching(fake_openai.url, coalesce=True), tmp_path) as gateway:

        async def ask(control: str = "") -> str:
            headers = {"cache-control": control} if control else {}
            cache: str = (await post(gateway, CHAT, body(), **headers))[2]["x-coo-cache"]
            return cache

        assert [await ask("no-store"), await ask()] == ["off", "miss"]
        assert [await ask("no-store"), await ask("max-age=0, No-Cache"), await ask()] == [
            "off",
            "miss",
            "hit",
        ]
        assert [record.cache for record in await gateway.records(5)] == ["hit", "miss", "off", "miss", "off"]
        assert len(fake_openai.requests) == 4


async def test_what_is_no_complete_answer_is_not_kept(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    config = caching(fake_openai.url)
    config["policy"]["retry"] = {"max_attempts": 1}
    async with running(config, tmp_path) as gateway:
        for stream in (False, True):
            fake_openai.script.extend([Fault(400), Fault(500), None])
            found = [await post(gateway, CHAT, body(seed=int(stream), stream=stream)) for _ in range(4)]
            assert [status for status, _, _ in found] == [400, 502, 200, 200]
            assert [headers["x-coo-cache"] for _, _, headers in found] == ["miss", "miss", "miss", "hit"]


def chosen(**choice: Any) -> dict[str, Any]:
    made = {"index": 0, "message": {"role": "assistant", "content": "Hel"}, "text": "Hel", **choice}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o", "choices": [made]}


def responded(status: str) -> dict[str, Any]:
    return {"id": "r", "object": "response", "status": status, "model": "gpt-4o", "output": []}


def said(stop_reason: str | None) -> dict[str, Any]:
    content = [{"type": "text", "text": "Hel"}]
    return {"id": "m", "type": "message", "role": "assistant", "content": content, "stop_reason": stop_reason}


BROKEN = {"code": 502, "message": "the generation failed"}


@pytest.mark.parametrize(
    ("path", "answer", "cache"),
    [
        (CHAT, chosen(finish_reason="stop", error=None), "hit"),
        (CHAT, chosen(finish_reason="length"), "hit"),
        (CHAT, chosen(finish_reason="content_filter"), "hit"),
        (CHAT, chosen(finish_reason="error", error=BROKEN), "miss"),
        (CHAT, chosen(finish_reason="error"), "miss"),
        (CHAT, chosen(finish_reason="stop", error=BROKEN), "miss"),
        (CHAT, chosen(finish_reason=None), "miss"),
        (CHAT, chosen(), "miss"),
        ("/v1/completions", chosen(finish_reason="length"), "hit"),
        ("/v1/completions", chosen(finish_reason=None), "miss"),
        ("/v1/responses", responded("completed"), "hit"),
        ("/v1/responses", responded("incomplete"), "hit"),
        ("/v1/responses", responded("in_progress"), "miss"),
        ("/v1/responses", responded("queued"), "miss"),
        ("/v1/messages", said("pause_turn"), "hit"),
        ("/v1/messages", said("refusal"), "hit"),
        ("/v1/messages", said(None), "miss"),
    ],
)
async def test_what_broke_off_is_passed_on_and_not_kept(
    path: str, answer: dict[str, Any], cache: str, tmp_path: Path
) -> None:
    async def serve(request: web.Request) -> web.Response:
        return web.json_response(answer)

    app = web.Application()
    app.router.add_post(path, serve)
    kind = "claude" if path == "/v1/messages" else "openai"
    asked = {
        CHAT: body(),
        "/v1/completions": {"model": "gpt-4o", "prompt": "Hello"},
        "/v1/responses": {"model": "gpt-4o", "input": "Hello"},
        "/v1/messages": body(max_tokens=9),
    }[path]
    async with TestServer(app) as server:
        config = caching(str(server.make_url("/")))
        config["llm_providers"][0]["type"] = kind
        async with running(config, tmp_path) as gateway:
            for expected in ("miss", cache):
                status, given, headers = await post(gateway, path, asked)
                assert (status, headers["x-coo-cache"]) == (200, expected)
                assert {**json.loads(given), **answer} == json.loads(given)


async def test_a_stream_that_ends_with_an_error_is_not_kept(tmp_path: Path) -> None:
    async def serve(request: web.Request) -> web.Response:
        choice = {"index": 0, "delta": {"content": "Hel"}, "finish_reason": "error"}
        event = json.dumps({"id": "c", "created": 1, "model": "gpt-4o", "choices": [choice]})
        return web.Response(text=f"data: {event}\n\ndata: [DONE]\n\n", content_type="text/event-stream")

    app = web.Application()
    app.router.add_post(CHAT, serve)
    async with TestServer(app) as server, running(caching(str(server.make_url("/"))), tmp_path) as gateway:
        for _ in range(2):
            _, events, headers = await gateway.stream(model="gpt-4o")
            assert (headers["x-coo-cache"], text_of(events)) == ("miss", "Hel")


async def test_large_answers_are_not_kept(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    async with running(caching(fake_openai.url, max_entry_kb=1), tmp_path) as gateway:
        for text, kept in (("short", "hit"), ("long " * 300, "miss")):
            asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}]}
            for stream in (False, True):
                assert (await gateway.ask(**asked, seed=int(stream)))[0] == 200
                assert (await gateway.ask(**asked, seed=int(stream)))[2]["x-coo-cache"] == kept


async def test_a_hit_counts_as_a_request_and_no_more(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    limits = {"req_per_min": 3, "tokens_per_min": 40}
    client = {"id": "one", "key": KEY, "limits": limits, "budget": {"usd": 1}}
    async with running(caching(fake_openai.url, client), tmp_path, clock=Clock()) as gateway:
        asked = {"model": "gpt-4o", "max_tokens": 10}
        await gateway.ask(**asked)
        (record,) = await gateway.records(1)
        _, _, hit = await gateway.ask(**asked)
        used = record.input_tokens + record.output_tokens
        assert hit["x-ratelimit-remaining-tokens"] == str(40 - used)
        assert hit["x-ratelimit-remaining-requests"] == "1"
        assert (await gateway.stream(**asked))[0] == 200
        status, _, headers = await gateway.ask(**asked)
        assert (status, headers["x-coo-cache"]) == (429, "miss")
        assert (await gateway.of("sk-wrong").ask(**asked))[0] == 401


async def test_a_hit_is_given_where_the_budget_is_overspent(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    client = {"id": "one", "key": KEY, "budget": {"usd": 0.02, "window": "1d"}}
    async with running(caching(fake_openai.url, client), tmp_path) as gateway:
        assert (await post(gateway, CHAT, body(max_tokens=5)))[0] == 200
        one = gateway.live.current.clients.named("one")
        assert one is not None
        place = await gateway.live.store.reserve(one.meter, 0, cost=1)
        assert not isinstance(place, Refusal)
        await gateway.live.store.settle(place, 0, 10**9)
        status, _, headers = await post(gateway, CHAT, body(max_tokens=5))
        assert (status, headers["x-coo-cache"]) == (200, "hit")
        assert (await post(gateway, CHAT, body(max_tokens=6)))[0] == 429


async def test_a_provider_that_is_gone_answers_no_more(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    config = caching(fake_openai.url)
    echo = {"id": "echo", "type": "echo", "model": "gpt-4o"}
    async with running(config, tmp_path) as gateway:
        assert (await gateway.ask(model="gpt-4o"))[2]["x-coo-provider"] == "up"
        await gateway.reload(llm_providers=[echo])
        assert (await gateway.ask(model="gpt-4o"))[2]["x-coo-provider"] == "echo"


@pytest.mark.parametrize(
    ("trouble", "counted"),
    [
        (StoreUnavailable("it is away, and the store has counted that"), False),
        (KeyError("a bug"), True),
        (None, True),
    ],
    ids=["unavailable", "a bug", "hangs"],
)
async def test_a_store_in_trouble_is_a_miss(
    trouble: Exception | None,
    counted: bool,
    fake_openai: FakeOpenAI,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running(caching(fake_openai.url), tmp_path) as gateway:

        async def cache_get(key: str) -> bytes | None:
            if trouble is None:
                await asyncio.Event().wait()
                raise AssertionError
            raise trouble

        monkeypatch.setattr(gateway.live.store, "cache_get", cache_get)
        for _ in range(5):
            status, _, headers = await gateway.ask(model="gpt-4o")
            assert (status, headers["x-coo-cache"]) == (200, "miss")
        errors = (await gateway.samples()).sum("store_errors_total", store="memory", operation="cache_get")
        assert (3 <= errors <= 5) == counted


async def test_a_slow_store_is_complained_of_once_however_many_requests_meet_it(
    fake_openai: FakeOpenAI,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with running(caching(fake_openai.url), tmp_path) as gateway:

        async def cache_get(key: str) -> bytes | None:
            await asyncio.Event().wait()
            raise AssertionError

        monkeypatch.setattr(gateway.live.store, "cache_get", cache_get)
        asked = (gateway.ask(model="gpt-4o", seed=number) for number in range(30))
        assert {status for status, _, _ in await asyncio.gather(*asked)} == {200}
    assert capfd.readouterr().err.count("the store is too slow for cached answers") == 1


async def test_a_store_that_fails_is_complained_of_with_the_reason(
    fake_openai: FakeOpenAI,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with running(caching(fake_openai.url), tmp_path) as gateway:

        async def cache_get(key: str) -> bytes | None:
            raise StoreUnavailable("unable to open database file")

        monkeypatch.setattr(gateway.live.store, "cache_get", cache_get)
        monkeypatch.setattr(gateway.live.store, "cache_put", lambda *_: cache_get(""))
        for _ in range(3):
            await gateway.ask(model="gpt-4o")
    printed = capfd.readouterr().err
    (line,) = [line for line in printed.splitlines() if "cached answers" in line]
    assert "cached answers cannot be had" in line
    assert "StoreUnavailable: unable to open database file" in line


async def test_a_slow_store_is_not_sent_more_than_it_can_take(
    fake_openai: FakeOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MOST_ON_WAY", 1)
    monkeypatch.setattr(cache, "PUT_PATIENCE", 5.0)
    async with running(caching(fake_openai.url), tmp_path) as gateway:
        store, quick = gateway.live.store, asyncio.Event()
        put, stored = store.cache_put, asyncio.Event()

        async def cache_put(key: str, value: bytes, seconds: float) -> None:
            await quick.wait()
            await put(key, value, seconds)
            stored.set()

        monkeypatch.setattr(store, "cache_put", cache_put)

        async def found(*seeds: int) -> list[str]:
            return [(await gateway.ask(model="gpt-4o", seed=seed))[2]["x-coo-cache"] for seed in seeds]

        assert await found(1, 2, 1, 2) == ["miss", "miss", "hit", "miss"]
        quick.set()
        await stored.wait()
        assert await found(1, 2, 2) == ["hit", "miss", "hit"]


async def test_rubbish_in_the_store_is_a_miss(
    fake_openai: FakeOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(caching(fake_openai.url), tmp_path) as gateway:
        for rubbish in (b"", b"{}", b"[1]\nx", b'[9,"up","k","gpt-4o",[],null]\n{}'):

            async def cache_get(key: str, found: bytes = rubbish) -> bytes | None:
                return found

            monkeypatch.setattr(gateway.live.store, "cache_get", cache_get)
            assert (await gateway.ask(model="gpt-4o"))[2]["x-coo-cache"] == "miss"
