"""Identical requests in flight: one upstream call for all of them, whoever leaves, lags or fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.api import Meter, Refusal
from gateway.request.tape import STOCK, Stock
from gateway.routing.queue import Place
from tests.daemon.running import KEY, Gateway, configured, events_of, openai, running, text_of, until
from tests.fakes.openai import FakeOpenAI

PRICES = {"input_token_cost": 0.001, "output_token_cost": 0.01}
LIVELY = {"server": {"sse_keepalive": "10ms"}}
LONG = [{"role": "user", "content": "word " * 50}]


def coalescing(url: str, *clients: dict[str, Any], **policy: Any) -> dict[str, Any]:
    config = configured(openai(url, pricing=PRICES))
    if clients:
        config["api_keys"] = list(clients)
    return {**config, "policy": {"cache": {"enabled": True, **policy.pop("cache", {})}, **policy}}


def asking(gateway: Gateway, count: int, *, stream: bool, **body: Any) -> list[asyncio.Task[Any]]:
    ask = gateway.stream if stream else gateway.ask
    return [asyncio.create_task(ask(model="gpt-4o", messages=LONG, **body)) for _ in range(count)]


def asking_for_text(gateway: Gateway, count: int, *, stream: bool) -> list[asyncio.Task[Any]]:
    async def ask() -> tuple[int, bytes]:
        async with gateway.chat(model="gpt-4o", messages=LONG, stream=stream) as response:
            return response.status, await response.read()

    return [asyncio.create_task(ask()) for _ in range(count)]


def admitted(gateway: Gateway) -> int:
    """Requests that ask, or wait for another's answer."""
    current = gateway.live.current
    clients = [current.clients.named(client.id) for client in current.config.api_keys or ()]
    return sum(client.meter.in_flight for client in clients if client is not None)


def caches_of(answers: list[tuple[int, Any, Any]]) -> list[str]:
    """What each of these answers, all of them complete, says of the cache."""
    for status, answer, _ in answers:
        assert (status, answer["choices"][0]["finish_reason"]) == (200, "stop")
    return [headers["x-coo-cache"] for _, _, headers in answers]


@asynccontextmanager
async def failing(gate: asyncio.Event, status: int = 200) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """An upstream that answers once ``gate`` is open: with an error, or with a stream that breaks after its
    first content. Gives its address and the requests it got."""
    requests: list[web.Request] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        requests.append(request)
        await gate.wait()
        if status != 200:
            return web.json_response({"error": {"message": "no"}}, status=status)
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'data: {"choices": [{"index": 0, "delta": {"content": "Hel"}}]}\n\n')
        return response

    app = web.Application()
    app.router.add_post("/v1/chat/completions", serve)
    async with TestServer(app) as server:
        yield str(server.make_url("/")), requests


@asynccontextmanager
async def bug(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """The next request that is to go to a provider ends with a bug instead, when the block ends."""
    gate, real = asyncio.Event(), gateway.live.store.reserve
    times = count()

    async def reserve(meter: Meter, tokens: int, **more: Any) -> Any:
        if meter.subject.startswith("key:") and next(times) == 0:
            await gate.wait()
            raise RuntimeError("a bug")
        return await real(meter, tokens, **more)

    monkeypatch.setattr(gateway.live.store, "reserve", reserve)
    yield
    gate.set()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_hundred_at_once_are_one_call(stream: bool, fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    async with running(coalescing(fake_openai.url), tmp_path) as gateway:
        gate = fake_openai.gate = asyncio.Event()
        tasks = (
            asking(gateway, 100, stream=stream, stream_options={"include_usage": True})
            if stream
            else (asking(gateway, 100, stream=False))
        )
        await until(lambda: admitted(gateway) == 100)
        gate.set()
        answers = await asyncio.gather(*tasks)
        assert [status for status, _, _ in answers] == [200] * 100
        caches = sorted(headers["x-coo-cache"] for _, _, headers in answers)
        assert caches == ["coalesced"] * 99 + ["miss"]
        assert len(fake_openai.requests) == 1
        for _, answer, headers in answers:
            usage = answer[-2]["usage"] if stream else answer["usage"]
            assert (usage.pop("cost") == 0) == (headers["x-coo-cache"] == "coalesced")
        assert all(answer == answers[0][1] for _, answer, _ in answers)
        records = await gateway.records(100)
        assert sorted(record.cache for record in records) == caches
        paid = [record for record in records if record.cost_nano_usd]
        assert [(record.cache, len(record.attempts)) for record in paid] == [("miss", 1)]
        assert sum(record.output_tokens for record in records) == paid[0].output_tokens > 0
        assert {record.provider for record in records} == {"up"}
        assert (await gateway.samples()).sum("cache_events_total", event="coalesced") == 99
        assert (await gateway.ask(model="gpt-4o", messages=LONG))[2]["x-coo-cache"] == "hit"


@pytest.mark.parametrize(("shared", "calls"), [(False, 2), (True, 1)])
async def test_clients_share_only_where_told_to(
    shared: bool, calls: int, fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    clients = [{"id": "one", "key": KEY}, {"id": "two", "key": "sk-two"}]
    config = coalescing(fake_openai.url, *clients, cache={"shared": shared})
    async with running(config, tmp_path) as gateway:
        gate = fake_openai.gate = asyncio.Event()
        tasks = [task for key in (KEY, "sk-two") for task in asking(gateway.of(key), 3, stream=False)]
        await until(lambda: admitted(gateway) == 6)
        gate.set()
        assert {status for status, _, _ in await asyncio.gather(*tasks)} == {200}
        assert len(fake_openai.requests) == calls


@pytest.mark.parametrize(("control", "cache"), [("no-cache", "miss"), ("no-store", "off")])
async def test_who_wants_a_new_answer_gets_one(
    control: str, cache: str, fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    async with running(coalescing(fake_openai.url), tmp_path) as gateway:
        gate = fake_openai.gate = asyncio.Event()
        gateway.headers["cache-control"] = control
        tasks = asking(gateway, 3, stream=False)
        await until(lambda: len(fake_openai.requests) == 3)
        gate.set()
        assert caches_of(await asyncio.gather(*tasks)) == [cache] * 3


async def test_without_coalescing_each_asks_for_itself(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    async with running(coalescing(fake_openai.url, cache={"coalesce": False}), tmp_path) as gateway:
        gate = fake_openai.gate = asyncio.Event()
        tasks = asking(gateway, 3, stream=False)
        await until(lambda: len(fake_openai.requests) == 3)
        gate.set()
        assert caches_of(await asyncio.gather(*tasks)) == ["miss"] * 3


@pytest.mark.parametrize("stream", [False, True])
async def test_a_leader_that_leaves_takes_nothing_from_the_others(
    stream: bool, fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    async with running(coalescing(fake_openai.url), tmp_path) as gateway:
        gate = fake_openai.gate = asyncio.Event()
        (leader,) = asking(gateway, 1, stream=stream)
        await until(lambda: len(fake_openai.requests) == 1)
        tasks = asking(gateway, 5, stream=stream)
        await until(lambda: admitted(gateway) == 6)
        leader.cancel()
        await until(lambda: gateway.live.in_flight == 5)
        gate.set()
        answers = await asyncio.gather(*tasks)
        assert [headers["x-coo-cache"] for _, _, headers in answers] == ["coalesced"] * 5
        if stream:
            assert all(events[-1] == "[DONE]" for _, events, _ in answers)
        assert len(fake_openai.requests) == 1
        records = {record.cache: record for record in await gateway.records(6)}
        left = records["miss"]
        assert (left.status, left.error, left.partial) == (499, "client_closed_request", True)
        assert left.cost_nano_usd and not left.estimated
        assert records["coalesced"].cost_nano_usd == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_when_all_have_left_the_call_is_cancelled(
    stream: bool, fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    async with running(coalescing(fake_openai.url), tmp_path) as gateway:
        fake_openai.gate = asyncio.Event()
        tasks = asking(gateway, 1, stream=stream)
        await until(lambda: len(fake_openai.requests) == 1)
        tasks += asking(gateway, 3, stream=stream)
        await until(lambda: admitted(gateway) == 4)
        for task in tasks:
            task.cancel()
        records = await gateway.records(4)
        assert {record.status for record in records} == {499}
        (asked,) = [record for record in records if record.attempts]
        assert [attempt.outcome for attempt in asked.attempts] == ["cancelled"]
        fake_openai.gate.set()
        assert (await gateway.ask(model="gpt-4o", messages=LONG))[0] == 200
        assert len(fake_openai.requests) == 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("fault", "status", "calls"), [(400, 400, 1), (500, 502, 2)])
async def test_what_the_provider_says_is_said_to_all(
    fault: int, status: int, calls: int, stream: bool, tmp_path: Path
) -> None:
    gate = asyncio.Event()
    policy = {"retry": {"max_attempts": 2, "interval": 0}}
    async with (
        failing(gate, fault) as (url, requests),
        running(coalescing(url, **policy), tmp_path) as gateway,
    ):
        tasks = asking_for_text(gateway, 10, stream=stream)
        await until(lambda: admitted(gateway) == 10)
        gate.set()
        answers = await asyncio.gather(*tasks)
        assert [found for found, _ in answers] == [status] * 10
        assert len(requests) == calls
        records = await gateway.records(10)
        assert len([record for record in records if record.attempts]) == 1
        assert {record.cost_nano_usd for record in records} == {None}
        assert sorted(record.cache for record in records) == ["coalesced"] * 9 + ["miss"]
        samples = await gateway.samples()
        events = {event: samples.sum("cache_events_total", event=event) for event in ("coalesced", "miss")}
        assert events == {"coalesced": 9, "miss": 1}


async def test_a_broken_stream_breaks_for_all_and_is_not_kept(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with failing(gate) as (url, requests), running(coalescing(url), tmp_path) as gateway:
        tasks = asking(gateway, 4, stream=True)
        await until(lambda: admitted(gateway) == 4)
        gate.set()
        for status, events, _ in await asyncio.gather(*tasks):
            assert (status, text_of(events)) == (200, "Hel")
            assert events[-1]["error"]["code"] == "upstream_error"
        records = await gateway.records(4)
        assert {(record.error, record.partial) for record in records} == {("upstream_error", True)}
        assert len([record for record in records if record.attempts]) == len(requests) == 1
        _, _, headers = await gateway.stream(model="gpt-4o", messages=LONG)
        assert (headers["x-coo-cache"], len(requests)) == ("miss", 2)


async def test_whose_leader_ends_for_its_own_reasons_the_next_one_leads(
    fake_openai: FakeOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(coalescing(fake_openai.url), tmp_path) as gateway:
        async with bug(gateway, monkeypatch):
            tasks = asking(gateway, 10, stream=False)
            await until(lambda: admitted(gateway) == 10)
        statuses = sorted(status for status, _, _ in await asyncio.gather(*tasks))
        assert statuses == [200] * 9 + [500]
        assert len(fake_openai.requests) == 1


def one_at_a_time(url: str, **policy: Any) -> dict[str, Any]:
    """Requests wait in line for the only slot of the only key."""
    config = coalescing(url, on_exhausted="queue", **policy)
    config["llm_providers"][0]["limits"] = {"max_parallel": 1}
    return config


@asynccontextmanager
async def busy(gateway: Gateway) -> AsyncIterator[None]:
    """The key has no slot free until the block ends."""
    (key,) = gateway.live.memory.keys.values()
    held = await gateway.live.store.reserve(key.meter, 0)
    assert not isinstance(held, Refusal)
    yield
    await gateway.live.store.release(held)
    gateway.live.queue.wake()


@pytest.mark.parametrize("stream", [False, True])
async def test_who_follows_one_in_line_for_a_key_waits_with_it(
    stream: bool, fake_openai: FakeOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = one_at_a_time(fake_openai.url, queue={"max_wait": "500ms"})
    async with running(config, tmp_path) as gateway, busy(gateway):
        join, times = gateway.live.queue.join, []

        def noted(keys: Hashable, client: str, until: float) -> Place:
            times.append(until)
            return join(keys, client, until)

        monkeypatch.setattr(gateway.live.queue, "join", noted)
        tasks = asking_for_text(gateway, 6, stream=stream)
        await until(lambda: admitted(gateway) == 6)
        assert [status for status, _ in await asyncio.gather(*tasks)] == [429] * 6
        assert max(times) < times[0] + 0.5  # they all came before the first one's time was up


async def test_who_came_later_waits_on_for_what_is_left_of_its_time(
    fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    config = one_at_a_time(fake_openai.url, queue={"max_wait": "1s"})
    async with running({**config, **LIVELY}, tmp_path) as gateway:
        async with busy(gateway):
            first = asyncio.create_task(gateway.stream(model="gpt-4o", messages=LONG))
            await until(lambda: gateway.live.queue.size == 1)
            await asyncio.sleep(0.5)  # so much is left in the end
            (later,) = asking_for_text(gateway, 1, stream=True)
            _, events, _ = await first
            assert [event["error"]["code"] for event in events] == ["upstream_rate_limited"]
            await until(lambda: gateway.live.queue.size == 1)
        status, answer = await later
        assert (status, events_of(answer)[-1]) == (200, "[DONE]")
        assert answer.startswith(b": keepalive")
        assert [record.cache for record in await gateway.records(2)] == ["miss", "miss"]


async def begun(gateway: Gateway, stack: AsyncExitStack) -> Any:
    """A stream that has had a sign of life."""
    return await stack.enter_async_context(gateway.chat(model="gpt-4o", messages=LONG, stream=True))


async def test_a_stream_with_signs_of_life_only_leads_in_its_turn(
    fake_openai: FakeOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is told in an event what keeps it from that."""
    poor = {"id": "two", "key": "sk-two", "budget": {"usd": 0.000001}}
    config = coalescing(fake_openai.url, {"id": "one", "key": KEY}, poor, cache={"shared": True})
    async with running({**config, **LIVELY}, tmp_path) as gateway, AsyncExitStack() as stack:
        assert (await gateway.of("sk-two").ask(model="gpt-4o"))[0] == 200  # which spends all it has
        async with bug(gateway, monkeypatch):
            streams = [await begun(gateway.of(key), stack) for key in (KEY, "sk-two", KEY, KEY)]
        endings = [events_of(await stream.read())[-1] for stream in streams]
        codes = [ending if ending == "[DONE]" else ending["error"]["code"] for ending in endings]
        assert codes == ["internal_error", "insufficient_quota", "[DONE]", "[DONE]"]
        assert len(fake_openai.requests) == 2
        caches = sorted(record.cache for record in await gateway.records(5))
        assert caches == ["coalesced", "miss", "miss", "miss", "miss"]


async def test_a_stream_with_signs_of_life_only_may_be_a_hit(
    fake_openai: FakeOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the one that leads now has ended before this one could follow it."""
    clients = [{"id": "one", "key": KEY}, {"id": "two", "key": "sk-two"}]
    config = coalescing(fake_openai.url, *clients, cache={"shared": True})
    async with running({**config, **LIVELY}, tmp_path) as gateway, AsyncExitStack() as stack:
        async with bug(gateway, monkeypatch):
            _, second, third = [await begun(gateway.of(key), stack) for key in (KEY, KEY, "sk-two")]
            gate, reserve = asyncio.Event(), gateway.live.store.reserve

            async def late(meter: Meter, tokens: int, **more: Any) -> Any:
                if meter.subject == "client:two":
                    await gate.wait()
                return await reserve(meter, tokens, **more)

            monkeypatch.setattr(gateway.live.store, "reserve", late)
        assert events_of(await second.read())[-1] == "[DONE]"
        gate.set()
        assert events_of(await third.read())[-1] == "[DONE]"
        assert len(fake_openai.requests) == 1
        assert sorted(record.cache for record in await gateway.records(3)) == ["hit", "miss", "miss"]


async def test_who_came_while_others_waited_does_not_get_ahead_of_them(
    fake_openai: FakeOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one leads without a look into the store."""
    async with running(coalescing(fake_openai.url), tmp_path) as gateway:
        looks, get = count(), gateway.live.store.cache_get

        async def counted(key: str) -> bytes | None:
            next(looks)
            return await get(key)

        monkeypatch.setattr(gateway.live.store, "cache_get", counted)
        async with bug(gateway, monkeypatch):
            tasks = asking(gateway, 3, stream=False)
            await until(lambda: admitted(gateway) == 3)
        assert sorted([status for status, _, _ in await asyncio.gather(*tasks)]) == [200, 200, 500]
        assert next(looks) == 3


async def test_who_joins_late_gets_all_of_a_stream(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    echo = {"id": "up", "type": "echo", "model": "m", "token_ms": 2}
    config = {**configured(echo), "policy": {"cache": {"enabled": True}}}
    async with running(config, tmp_path) as gateway, gateway.chat(stream=True, messages=LONG) as first:
        begun = await first.content.readuntil(b"\n\n")
        _, late, headers = await gateway.stream(messages=LONG)
        assert headers["x-coo-cache"] == "coalesced"
        assert events_of(begun + await first.read()) == late
        assert text_of(late)


@pytest.fixture
def stock(monkeypatch: pytest.MonkeyPatch) -> Stock:
    """The room of all streams of the gateway."""
    stock = Stock()
    monkeypatch.setattr("gateway.request.cache.Stock", lambda: stock)
    return stock


@pytest.mark.parametrize("coalesce", [False, True])
@pytest.mark.parametrize("words", [10, 1000, 6000], ids=["at once", "in a thread", "too long"])
async def test_streams_that_have_ended_hold_nothing(
    words: int, coalesce: bool, stock: Stock, fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    config = coalescing(fake_openai.url, cache={"coalesce": coalesce})
    async with running(config, tmp_path) as gateway:
        messages = [{"role": "user", "content": "word " * words}]
        asked = [gateway.stream(model="gpt-4o", messages=messages, seed=number) for number in range(4)]
        for status, events, _ in await asyncio.gather(*asked):
            assert (status, events[-1]) == (200, "[DONE]")
        await until(lambda: stock.taken == 0)
        if words < 6000:
            for number in range(4):
                _, _, headers = await gateway.ask(model="gpt-4o", messages=messages, seed=number)
                assert headers["x-coo-cache"] == "hit"


async def test_streams_that_break_hold_nothing(stock: Stock, tmp_path: Path) -> None:
    gate = asyncio.Event()
    gate.set()
    async with failing(gate) as (url, _), running(coalescing(url), tmp_path) as gateway:
        _, events, _ = await gateway.stream(model="gpt-4o", messages=LONG)
        assert events[-1]["error"]["code"] == "upstream_error"
        await until(lambda: stock.taken == 0)


@pytest.mark.parametrize("coalesce", [False, True])
async def test_streams_whose_clients_have_left_hold_nothing(
    coalesce: bool, stock: Stock, tmp_path: Path
) -> None:
    echo = {"id": "up", "type": "echo", "model": "m", "token_ms": 200}
    config = {**configured(echo), "policy": {"cache": {"enabled": True, "coalesce": coalesce}}}
    async with running(config, tmp_path) as gateway:
        async with gateway.chat(stream=True, messages=LONG) as first:
            await first.content.readuntil(b"\n\n")
            async with gateway.chat(stream=True, messages=LONG) as second:
                await second.content.readuntil(b"\n\n")
                assert stock.taken > 0
        await until(lambda: stock.taken == 0)


async def test_where_others_hold_all_room_a_stream_is_neither_joined_nor_kept(
    stock: Stock, fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    assert stock.take(STOCK)
    async with running(coalescing(fake_openai.url), tmp_path) as gateway:
        for _ in range(2):
            _, events, headers = await gateway.stream(model="gpt-4o", messages=LONG)
            assert (headers["x-coo-cache"], events[-1]) == ("miss", "[DONE]")
            assert text_of(events)
        stock.taken = 0
        assert (await gateway.stream(model="gpt-4o", messages=LONG))[2]["x-coo-cache"] == "miss"
        assert (await gateway.stream(model="gpt-4o", messages=LONG))[2]["x-coo-cache"] == "hit"


async def test_when_the_gateway_stops_all_are_told(tmp_path: Path) -> None:
    echo = {"id": "up", "type": "echo", "model": "m", "token_ms": 500}
    config = {**configured(echo), "policy": {"cache": {"enabled": True}}, "server": {"drain_timeout": "50ms"}}
    async with running(config, tmp_path) as gateway, gateway.chat(stream=True, messages=LONG) as first:
        await first.content.readuntil(b"\n\n")
        async with gateway.chat(stream=True, messages=LONG) as second:
            gateway.daemon.stop()
            for response in (first, second):
                events = events_of(await response.read())
                assert events[-1]["error"]["code"] == "draining"


async def test_a_budget_pays_once(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    client = {"id": "one", "key": KEY, "budget": {"usd": 0.0015}}
    async with running(coalescing(fake_openai.url, client), tmp_path) as gateway:
        gate = fake_openai.gate = asyncio.Event()
        tasks = asking(gateway, 10, stream=False, max_tokens=100)
        await until(lambda: admitted(gateway) == 10)
        gate.set()
        assert [status for status, _, _ in await asyncio.gather(*tasks)] == [200] * 10


async def test_a_refused_leader_is_no_refusal_for_the_others(tmp_path: Path, fake_openai: FakeOpenAI) -> None:
    client = {"id": "one", "key": KEY, "limits": {"req_per_min": 2}}
    async with running(coalescing(fake_openai.url, client), tmp_path) as gateway:
        gate = fake_openai.gate = asyncio.Event()
        tasks = asking(gateway, 5, stream=False)
        await until(lambda: sum(task.done() for task in tasks) == 3)
        gate.set()
        statuses = sorted(status for status, _, _ in await asyncio.gather(*tasks))
        assert statuses == [200, 200, 429, 429, 429]
        assert len(fake_openai.requests) == 1
