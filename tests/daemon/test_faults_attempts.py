"""How often and how long a request is tried: timeouts, the deadline, the bounds, the pause, the circuit."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.daemon.faulty import QUICK, at_rest, check_error, outcomes, reported, tries, upstream
from tests.daemon.running import Gateway, configured, running
from tests.fakes.nasty import NastyServer
from tests.fakes.steps import answer, stall, stream

HANG = (stall(),)
BOTH = pytest.mark.parametrize("streamed", [False, True])


async def closed_within(nasty: NastyServer, seconds: float = 1.0) -> None:
    async with asyncio.timeout(seconds):
        for request in nasty.requests:
            await request.gone.wait()


@BOTH
async def test_a_provider_that_hangs_is_passed_over_and_then_a_504(
    nasty: NastyServer, tmp_path: Path, streamed: bool
) -> None:
    nasty.script(HANG)
    nasty.default = stream() if streamed else answer()
    policy = {"retry": {"timeout": "100ms", "interval": "1ms", "max_attempts": 2}}
    config = configured(upstream(nasty.url, "one"), upstream(nasty.url, "two"), policy=policy)
    async with running(config, tmp_path) as gateway:
        status, _, headers = await (gateway.stream if streamed else gateway.ask)()
        assert (status, headers["x-coo-attempts"]) == (200, "2")
        record = await reported(gateway)
        assert [(status, outcome) for _, status, outcome in tries(record)] == [(0, "timeout"), (200, "ok")]
        nasty.default = HANG
        status, body, headers = await gateway.ask(stream=streamed)
        assert status == 504
        check_error(body, "upstream_timeout")
        assert headers["x-should-retry"] == "false"
        assert headers["x-coo-attempts"] == "2"


async def test_a_streams_first_token_has_its_own_timeout(nasty: NastyServer, tmp_path: Path) -> None:
    nasty.default = HANG
    provider = upstream(nasty.url, timeout={"first_token": "50ms"})
    config = configured(provider, policy={"retry": {"max_attempts": 1}})
    async with running(config, tmp_path) as gateway:
        assert (await gateway.ask(stream=True))[0] == 504
        await closed_within(nasty)


@BOTH
async def test_the_deadline_bounds_all_attempts_together(
    nasty: NastyServer, tmp_path: Path, streamed: bool
) -> None:
    nasty.default = HANG
    total = {"total": "300ms"}
    config = configured(
        upstream(nasty.url, "one", timeout=total),
        upstream(nasty.url, "two", timeout=total),
        upstream(nasty.url, "three", timeout=total),
        policy={"retry": {"timeout": "200ms", "interval": "1ms", "max_attempts": 9}},
    )
    async with running(config, tmp_path) as gateway:
        began = time.monotonic()
        status, body, _ = await gateway.ask(stream=streamed)
        assert time.monotonic() - began < 2
        assert status == 504
        check_error(body, "upstream_timeout")
        assert outcomes(await reported(gateway)) == ["timeout"] * 2
        assert len(nasty.requests) == 2


async def test_a_deadline_spent_in_one_attempt_leaves_no_time_for_another(
    nasty: NastyServer, tmp_path: Path
) -> None:
    nasty.default = HANG
    total = {"total": "100ms"}
    config = configured(
        upstream(nasty.url, "one", timeout=total), upstream(nasty.url, "two", timeout=total), policy=QUICK
    )
    async with running(config, tmp_path) as gateway:
        assert (await gateway.ask())[0] == 504
        assert outcomes(await reported(gateway)) == ["timeout"]
        assert len(nasty.requests) == 1


@pytest.mark.parametrize(("attempts", "fallbacks", "asked"), [(1, 0, 1), (3, 0, 3), (2, 1, 3), (1, 2, 3)])
async def test_attempts_are_bounded_by_max_attempts_and_the_fallbacks(
    nasty: NastyServer, tmp_path: Path, attempts: int, fallbacks: int, asked: int
) -> None:
    nasty.default = answer(500)
    config = configured(
        *(upstream(nasty.url, name, keys=("a", "b", "c", "d")) for name in ("one", "two", "three", "four")),
        policy={
            "retry": {"max_attempts": attempts, "interval": "1ms"},
            "fallback": {"max_providers": fallbacks},
        },
    )
    async with running(config, tmp_path) as gateway:
        status, body, headers = await gateway.ask(model="one:m")
        assert status == 502
        check_error(body, "upstream_error")
        assert headers["x-coo-attempts"] == str(asked)
        record = await reported(gateway)
        assert [provider for provider, _, _ in tries(record)][:attempts] == ["one"] * attempts
        assert len({provider for provider, _, _ in tries(record)}) == 1 + fallbacks
        assert len({(attempt.provider, attempt.key) for attempt in record.attempts}) == asked


async def test_the_same_key_is_tried_again_only_when_nothing_else_is_left_and_after_a_pause(
    nasty: NastyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ceilings: list[float] = []

    def draw(low: float, high: float) -> float:
        ceilings.append(high)
        return 0.01

    monkeypatch.setattr("random.uniform", draw)
    nasty.default = answer(500)
    config = configured(
        upstream(nasty.url, keys=("a", "b")), policy={"retry": {"max_attempts": 4, "interval": "7s"}}
    )
    async with running(config, tmp_path) as gateway:
        assert (await gateway.ask())[0] == 502
        keys = [attempt.key for attempt in (await reported(gateway)).attempts]
        assert sorted(keys[:2]) == ["a", "b"] and len(keys) == 4
        assert ceilings == [7, 14]


async def test_a_pause_that_would_leave_no_time_is_not_made(
    nasty: NastyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    nasty.default = answer(500)
    config = configured(upstream(nasty.url, timeout={"total": "5s"}), policy={"retry": {"interval": "6s"}})
    async with running(config, tmp_path) as gateway, asyncio.timeout(4):
        status, body, _ = await gateway.ask()
        assert status == 502
        check_error(body, "upstream_error")
        assert len(nasty.requests) == 1


def breaker(**settings: object) -> dict[str, object]:
    return {
        "circuit_breaker": {"min_requests": 2, "window": "30s", "cooldown": "200ms", **settings},
        "retry": {"max_attempts": 1},
    }


async def test_a_circuit_opens_and_one_probe_closes_it(nasty: NastyServer, tmp_path: Path) -> None:
    nasty.default = answer(500)
    config = configured(upstream(nasty.url), policy=breaker(slow_start=0))
    async with running(config, tmp_path) as gateway:
        for _ in range(2):
            assert (await gateway.ask())[0] == 502
        status, body, headers = await gateway.ask()
        assert status == 503
        check_error(body, "no_provider_available")
        assert int(headers["retry-after"]) >= 1
        assert len(nasty.requests) == 2
        await asyncio.sleep(0.2)
        go_on = asyncio.Event()
        nasty.default = (stall(go_on), *answer())
        probe = asyncio.create_task(gateway.ask())
        await nasty.arrived(3)
        assert (await gateway.ask())[0] == 503, "only one probe at a time"
        go_on.set()
        assert (await probe)[0] == 200
        assert (await gateway.ask())[0] == 200


async def test_a_key_in_slow_start_serves_all_where_there_is_no_other(
    nasty: NastyServer, tmp_path: Path
) -> None:
    nasty.default = answer(500)
    config = configured(upstream(nasty.url), policy=breaker(slow_start="300s"))
    async with running(config, tmp_path) as gateway:
        for _ in range(2):
            await gateway.ask()
        nasty.default = answer()
        await asyncio.sleep(0.2)
        assert [(await gateway.ask())[0] for _ in range(6)] == [200] * 6


async def test_a_probe_whose_client_leaves_lets_another_one_through(
    nasty: NastyServer, tmp_path: Path
) -> None:
    nasty.default = answer(500)
    config = configured(upstream(nasty.url), policy=breaker())
    async with running(config, tmp_path) as gateway:
        for _ in range(2):
            await gateway.ask()
        await asyncio.sleep(0.2)
        nasty.default = HANG
        probe = asyncio.create_task(gateway.ask())
        await nasty.arrived(3)
        probe.cancel()
        await at_rest(gateway)
        nasty.default = answer()
        assert (await gateway.ask())[0] == 200


async def share_of_one(gateway: Gateway, count: int) -> int:
    chosen = [(await gateway.ask())[2]["x-coo-provider"] for _ in range(count)]
    return chosen.count("one")


async def test_a_provider_that_comes_back_gets_its_share_little_by_little(
    nasty: NastyServer, tmp_path: Path
) -> None:
    async with NastyServer(answer()) as other:
        nasty.default = answer(500)
        policy = breaker(slow_start="300s") | {"algorithm": "round_robin", "retry": {"max_attempts": 2}}
        config = configured(upstream(nasty.url, "one"), upstream(other.url, "two"), policy=policy)
        async with running(config, tmp_path) as gateway:
            assert await share_of_one(gateway, 6) == 0
            assert len(nasty.requests) == 2
            nasty.default = answer()
            await asyncio.sleep(0.2)
            assert await share_of_one(gateway, 2) == 1, "the probe"
            assert await share_of_one(gateway, 10) == 0
