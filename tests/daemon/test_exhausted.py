"""When every key is at its limit: reject, queue or burst; and how the queue treats those who wait."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.api import Meter, Refusal, Reservation
from tests.daemon.faulty import outcomes, upstream
from tests.daemon.running import KEY, Clock, Gateway, configured, openai, running, until
from tests.fakes.nasty import NastyServer
from tests.fakes.openai import FakeOpenAI
from tests.fakes.steps import answer, stall

ECHO = {"id": "up", "type": "echo", "model": "m", "limits": {"req_per_min": 1}}
CLIENTS = [{"id": "one", "key": KEY}, {"id": "two", "key": "sk-two"}]


def policy(on_exhausted: str, **queue: Any) -> dict[str, Any]:
    return {"on_exhausted": on_exhausted, "queue": queue}


async def test_reject_says_when_there_will_be_room(tmp_path: Path) -> None:
    clock = Clock()
    async with running(configured(ECHO, policy=policy("reject")), tmp_path, clock=clock) as gateway:
        assert (await gateway.ask())[0] == 200
        clock.now += 12.5
        for ask in (gateway.ask, gateway.stream):
            status, _, headers = await ask()
            assert (status, headers["retry-after"], headers["retry-after-ms"]) == (429, "48", "47500")
            assert (headers["x-coo-attempts"], headers["x-coo-error-source"]) == ("0", "policy")
        assert (await gateway.ask())[1]["error"] == {
            "type": "rate_limit_error",
            "code": "upstream_rate_limited",
            "param": None,
            "message": "Every provider key for this model is at its limit or cooling down.",
            "details": {"limit": None, "remaining": 0, "retry_after": 47.5},
        }
        samples = await gateway.samples()
        assert samples.sum("rate_limited_total", scope="key", id="up/keyless", kind="requests") == 3
        assert samples.sum("upstream_attempts_total") == 1


@pytest.mark.parametrize("status", [429, 500])
async def test_a_limit_of_ours_beside_a_provider_in_trouble_is_not_our_fault_alone(
    status: int, nasty: NastyServer, tmp_path: Path
) -> None:
    """One key is at its limit, the other rests or has its circuit open: nobody is asked."""
    nasty.default = answer(status, headers={"Retry-After": "7"})
    calm = {"retry": {"max_attempts": 1}, "fallback": {"enabled": False}}
    config = configured(
        {**ECHO, "models": ["gpt-4o"]},
        upstream(nasty.url, "other", models=["gpt-4o"]),
        policy={**calm, "circuit_breaker": {"min_requests": 1}},
    )
    async with running(config, tmp_path, clock=Clock()) as gateway:
        assert (await gateway.ask(model="up:gpt-4o"))[0] == 200
        await gateway.ask(model="other:gpt-4o")
        _, body, headers = await gateway.ask(model="gpt-4o")
        assert body["error"]["code"] == "upstream_rate_limited"
        assert (headers["x-coo-attempts"], headers["x-coo-error-source"]) == ("0", "provider")


async def test_burst_lets_everything_through(tmp_path: Path) -> None:
    async with running(configured(ECHO, policy=policy("burst")), tmp_path, clock=Clock()) as gateway:
        assert [(await gateway.ask())[0] for _ in range(5)] == [200] * 5
        meter = next(iter(gateway.live.memory.keys.values())).meter
        assert meter.request_share == 5


async def test_burst_goes_to_the_least_loaded_key(tmp_path: Path) -> None:
    provider = {
        **ECHO,
        "api_keys": [
            {"id": "small", "key": "s", "limits": {"req_per_min": 1}},
            {"id": "large", "key": "l", "limits": {"req_per_min": 4}},
        ],
    }
    config = configured(provider, policy={**policy("burst"), "algorithm": "round_robin"})
    async with running(config, tmp_path, clock=Clock()) as gateway:
        keys = [(await gateway.ask())[2]["x-coo-key"] for _ in range(10)]
        assert sorted(keys[:5]) == ["large"] * 4 + ["small"]
        assert sorted(keys) == ["large"] * 8 + ["small"] * 2


async def test_queue_waits_until_a_window_has_room(tmp_path: Path) -> None:
    clock = Clock()
    async with running(configured(ECHO, policy=policy("queue")), tmp_path, clock=clock) as gateway:
        assert (await gateway.ask())[0] == 200
        clock.now += 59.9
        assert (await asyncio.gather(gateway.ask(), _when_queued(gateway, clock, 0.1)))[0][0] == 200
        record = (await gateway.records(2))[0]
        assert record.total_ms >= 100 > 50 > record.overhead_ms


async def _when_queued(gateway: Gateway, clock: Clock, seconds: float) -> None:
    await until(lambda: gateway.live.queue.size == 1)
    clock.now += seconds


async def test_queue_refuses_at_once_who_would_wait_in_vain(tmp_path: Path) -> None:
    config = configured(ECHO, policy=policy("queue", max_wait="5s"))
    async with running(config, tmp_path, clock=Clock()) as gateway:
        assert (await gateway.ask())[0] == 200
        status, answer, headers = await asyncio.wait_for(gateway.ask(), 4)
        assert (status, answer["error"]["code"]) == (429, "upstream_rate_limited")
        assert headers["retry-after"] == "60"


async def test_queue_refuses_at_once_who_would_have_no_time_left(tmp_path: Path) -> None:
    provider = {**ECHO, "timeout": {"total": "5s"}}
    config = configured(provider, policy=policy("queue", max_wait="120s"))
    async with running(config, tmp_path, clock=Clock()) as gateway:
        assert (await gateway.ask())[0] == 200
        status, answer, headers = await asyncio.wait_for(gateway.ask(), 4)
        assert (status, answer["error"]["code"]) == (429, "upstream_rate_limited")
        assert (headers["retry-after"], headers["x-coo-attempts"]) == ("60", "0")


async def test_queue_refuses_who_waited_until_no_time_is_left(tmp_path: Path) -> None:
    provider = {**ECHO, "limits": {"max_parallel": 1}, "timeout": {"total": "300ms"}}
    config = configured(provider, policy=policy("queue", max_wait="5s"))
    async with running(config, tmp_path) as gateway, asyncio.timeout(4):
        (key,) = gateway.live.memory.keys.values()
        held = await gateway.live.store.reserve(key.meter, 0)
        assert not isinstance(held, Refusal)
        for status, answer, headers in await asyncio.gather(*(gateway.ask() for _ in range(3))):
            assert (status, answer["error"]["code"]) == (429, "upstream_rate_limited")
            assert (headers["retry-after"], headers["x-coo-attempts"]) == ("1", "0")
        await gateway.live.store.release(held)


async def test_time_spent_in_the_queue_is_not_the_providers_failure(
    nasty: NastyServer, tmp_path: Path
) -> None:
    nasty.script(answer(), (stall(),))
    provider = upstream(nasty.url, timeout={"total": "1s"}, limits={"req_per_min": 1})
    config = configured(provider, policy=policy("queue", max_wait="120s"))
    clock = Clock()
    async with running(config, tmp_path, clock=clock) as gateway:
        assert (await gateway.ask())[0] == 200
        clock.now += 59.3
        asked, _ = await asyncio.gather(gateway.ask(), _when_queued(gateway, clock, 0.7))
        assert (asked[0], asked[2]["x-coo-attempts"]) == (504, "1")
        (key,) = gateway.live.memory.keys.values()
        (model,) = key.models.values()
        assert model.health.error_rate(clock.now) == 0
        assert key.last_error is None
        assert outcomes((await gateway.records(2))[0]) == ["timeout"]


@pytest.mark.parametrize("status", [429, 529])
async def test_queue_takes_in_who_finds_the_key_limited(
    nasty: NastyServer, tmp_path: Path, status: int
) -> None:
    """Attempts are counted as ever, and all its waiting together is bounded."""
    rest = answer(status, headers={"Retry-After-Ms": "100"})
    nasty.script(rest, answer())
    config = configured(upstream(nasty.url), policy=policy("queue", max_wait="5s"))
    async with running(config, tmp_path) as gateway:
        answered, _, headers = await gateway.ask()
        assert (answered, headers["x-coo-attempts"]) == (200, "2")
        nasty.default = rest
        answered, _, headers = await gateway.ask()
        assert (answered, headers["x-coo-attempts"]) == (429 if status == 429 else 503, "3")
        assert headers["x-should-retry"] == "false"
        assert len(nasty.requests) == 5


async def test_a_fallback_that_is_limited_is_asked_once(nasty: NastyServer, tmp_path: Path) -> None:
    nasty.default = answer(429, headers={"Retry-After-Ms": "100"})
    config = configured(ECHO, upstream(nasty.url, "other"), policy=policy("queue", max_wait="1s"))
    async with running(config, tmp_path, clock=Clock()) as gateway:
        assert [(await gateway.ask(model="up:m"))[0] for _ in range(2)] == [200, 429]
        assert len(nasty.requests) == 1


async def _busy(gateway: Gateway, fake: FakeOpenAI) -> list[asyncio.Task[Any]]:
    """One request that holds the only slot until the fake's gate opens."""
    fake.gate = asyncio.Event()
    asking = asyncio.create_task(gateway.ask(model="gpt-4o"))
    await until(lambda: len(fake.requests) == 1)
    return [asking]


async def _line_up(gateway: Gateway, *texts: str) -> list[asyncio.Task[Any]]:
    """Have these requests wait in this order; they bear their texts."""
    tasks = []
    for text in texts:
        size = gateway.live.queue.size
        messages = [{"role": "user", "content": text}]
        tasks.append(asyncio.create_task(gateway.ask(model="gpt-4o", messages=messages)))
        await until(lambda: gateway.live.queue.size == size + 1)  # noqa: B023
    return tasks


async def test_queue_is_fair_by_client_and_wastes_no_time(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    """A client with six requests in line does not keep another's single one waiting for all of them; and
    a slot that gets free is taken at once, not at the next look."""
    provider = openai(fake_openai.url, limits={"max_parallel": 1})
    config = configured(provider, api_keys=CLIENTS, policy=policy("queue", max_wait="30s"))
    async with running(config, tmp_path) as gateway:
        tasks = await _busy(gateway, fake_openai)
        tasks += await _line_up(gateway, "a1", "a2", "a3", "a4", "a5", "a6")
        tasks += await _line_up(gateway.of("sk-two"), "b1")
        assert fake_openai.gate is not None
        fake_openai.gate.set()
        async with asyncio.timeout(15):  # half of what they would wait at most
            assert {status for status, _, _ in await asyncio.gather(*tasks)} == {200}
        order = [request.json()["messages"][0]["content"] for request in fake_openai.requests]
        assert order == ["Hello", "a1", "b1", "a2", "a3", "a4", "a5", "a6"]
        assert gateway.live.queue.size == 0


@pytest.mark.parametrize("limits", [{"max_parallel": 1}, {"tokens_per_min": 10}], ids=str)
async def test_queue_holds_so_many_and_so_long(
    limits: dict[str, int], fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    """They wait for what a request in flight holds, though nobody knows whether it ends in time."""
    provider = openai(fake_openai.url, limits=limits)
    config = configured(provider, policy=policy("queue", max_wait="100ms", max_size=2))
    async with running(config, tmp_path) as gateway:
        tasks = await _busy(gateway, fake_openai)
        waiting = await _line_up(gateway, "first", "second")
        status, answer, _ = await gateway.ask(model="gpt-4o")
        assert (status, answer["error"]["code"]) == (429, "upstream_rate_limited")
        for status, answer, headers in await asyncio.gather(*waiting):
            assert (status, answer["error"]["code"]) == (429, "upstream_rate_limited")
            assert headers["retry-after"] == "1"
        assert gateway.live.queue.size == 0
        assert fake_openai.gate is not None
        fake_openai.gate.set()
        assert (await tasks[0])[0] == 200
        assert len(fake_openai.requests) == 1


async def test_queue_holds_no_more_where_the_store_takes_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = {**ECHO, "limits": {"max_parallel": 1}}
    config = configured(provider, policy=policy("queue", max_wait="5s", max_size=1))
    async with running(config, tmp_path) as gateway:
        (key,) = gateway.live.memory.keys.values()
        store, tries = gateway.live.store, asyncio.Barrier(3)
        held, reserve = await store.reserve(key.meter, 0), store.reserve
        assert not isinstance(held, Refusal)

        async def together(meter: Meter, tokens: int, **options: Any) -> Reservation | Refusal:
            if meter is key.meter and not gateway.live.queue.size:
                await tries.wait()
            return await reserve(meter, tokens, **options)

        monkeypatch.setattr(store, "reserve", together)
        asked = [asyncio.create_task(gateway.ask()) for _ in range(3)]
        await until(lambda: sum(task.done() for task in asked) == 2)
        assert gateway.live.queue.size == 1
        await store.release(held)
        gateway.live.queue.wake()
        assert sorted([status for status, _, _ in await asyncio.gather(*asked)]) == [200, 429, 429]


async def test_a_client_that_leaves_leaves_the_queue(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    provider = openai(fake_openai.url, limits={"max_parallel": 1})
    config = configured(provider, policy=policy("queue", max_wait="30s"))
    async with running(config, tmp_path) as gateway:
        tasks = await _busy(gateway, fake_openai)
        leaving, staying = await _line_up(gateway, "leaving", "staying")
        leaving.cancel()
        await until(lambda: gateway.live.queue.size == 1)
        assert fake_openai.gate is not None
        fake_openai.gate.set()
        assert [status for status, _, _ in await asyncio.gather(*tasks, staying)] == [200, 200]
        records = await gateway.records(3)
        assert sorted(record.status for record in records) == [200, 200, 499]
        (left,) = [record for record in records if record.status == 499]
        assert (left.attempts, left.input_tokens, left.provider) == ([], 0, None)


@pytest.mark.parametrize("on_exhausted", ["reject", "queue", "burst"])
async def test_another_provider_with_room_is_preferred(on_exhausted: str, tmp_path: Path) -> None:
    config = configured(ECHO, {"id": "other", "type": "echo", "model": "m"}, policy=policy(on_exhausted))
    async with running(config, tmp_path, clock=Clock()) as gateway:
        first = [(await gateway.ask(model="up:m"))[2]["x-coo-provider"] for _ in range(3)]
        assert first == ["up", "other", "other"]
