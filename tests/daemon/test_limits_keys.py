"""The limits of provider keys: no upstream ever sees more than its key allows, and clients learn when."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.running import Clock, Gateway, configured, openai, running, until
from tests.fakes.openai import FakeOpenAI

ECHO = {"id": "up", "type": "echo", "model": "m"}
OFFERED = 1000
"""Requests a minute."""
LIMIT = 60


def most_within(moments: list[float], seconds: float) -> int:
    """The largest number of ``moments`` in any half-open interval of that length."""
    most = start = 0
    for end, moment in enumerate(moments):
        while moment - moments[start] >= seconds:
            start += 1
        most = max(most, end - start + 1)
    return most


async def test_a_key_at_its_limit_is_never_overrun(tmp_path: Path) -> None:
    """1,000 requests a minute for three minutes at one key of 60, half of them at once in bursts."""
    clock = Clock()
    admitted: list[float] = []
    expected_again = 0.0
    async with running(
        configured({**ECHO, "limits": {"req_per_min": LIMIT}}), tmp_path, clock=clock
    ) as gateway:
        for number in range(3 * OFFERED):
            if number % 2:
                clock.now += 2 * 60 / OFFERED
            status, _, headers = await gateway.ask()
            if status == 200:
                assert clock.now >= expected_again - 0.001
                admitted.append(clock.now)
            else:
                again = clock.now + int(headers["retry-after-ms"]) / 1000
                assert again <= clock.now + 60.5
                if expected_again > clock.now:
                    assert again == pytest.approx(expected_again, abs=0.002)
                expected_again = again
        assert most_within(admitted, 60) == LIMIT
        assert len(admitted) >= 3 * LIMIT - 1
        attempts = (await gateway.samples()).sum("upstream_attempts_total", outcome="ok")
        assert attempts == len(admitted)


async def test_retry_after_is_exact(tmp_path: Path) -> None:
    """A millisecond before it the same request is refused, at it it is granted."""
    clock = Clock()
    async with running(configured({**ECHO, "limits": {"req_per_min": 5}}), tmp_path, clock=clock) as gateway:
        for pause in (0.0, 3.1, 0.9, 7.7, 11.03):
            clock.now += pause
            assert (await gateway.ask())[0] == 200
        for _ in range(5):
            status, answer, _ = await gateway.ask()
            assert status == 429
            clock.now += answer["error"]["details"]["retry_after"] - 0.002
            assert (await gateway.ask())[0] == 429
            clock.now += 0.003
            assert (await gateway.ask())[0] == 200


@pytest.mark.parametrize("algorithm", ["round_robin", "least_loaded", "hybrid", "adaptive"])
async def test_with_a_second_key_clients_get_that_one(algorithm: str, tmp_path: Path) -> None:
    provider = {
        **ECHO,
        "api_keys": [
            {"id": "few", "key": "f", "limits": {"req_per_min": 10}},
            {"id": "many", "key": "m", "limits": {"req_per_min": 0}},
        ],
    }
    config = configured(provider, policy={"algorithm": algorithm})
    async with running(config, tmp_path, clock=Clock()) as gateway:
        used: Counter[str] = Counter()
        for _ in range(100):
            status, _, headers = await gateway.ask()
            assert (status, headers["x-coo-attempts"]) == (200, "1")
            used[headers["x-coo-key"]] += 1
        assert used["few"] <= 10
        assert used["few"] + used["many"] == 100
        if algorithm == "round_robin":
            assert used["few"] == 10


async def test_tokens_a_minute_are_reserved_and_settled(tmp_path: Path) -> None:
    """The first of two requests at once reserves what the second then lacks."""
    clock = Clock()
    provider = {**ECHO, "limits": {"tokens_per_min": 1000}}
    words = [{"role": "user", "content": "word " * 300}]
    async with running(configured(provider), tmp_path, clock=clock) as gateway:
        meter = next(iter(gateway.live.memory.keys.values())).meter
        first, second = await asyncio.gather(*(gateway.ask(messages=words, max_tokens=300) for _ in range(2)))
        assert sorted((first[0], second[0])) == [200, 429]
        assert meter.token_share == 0.6
        refused = first if first[0] == 429 else second
        assert refused[2]["retry-after"] == "1"  # the first might have used less
        assert (await gateway.ask(messages=words, max_tokens=300))[2]["retry-after"] == "60"
        assert (await gateway.ask(max_tokens=2))[0] == 200
        clock.now += 61
        assert (await gateway.ask(messages=words, max_tokens=300))[0] == 200


@pytest.mark.parametrize(("session_type", "seconds"), [("1h", 3600), ("5m", 300), (1800, 1800)])
async def test_a_session_s_tokens(session_type: str | int, seconds: int, tmp_path: Path) -> None:
    clock = Clock()
    provider = {**ECHO, "limits": {"session_limit": 1000, "session_type": session_type}}
    words = [{"role": "user", "content": "word " * 400}]
    async with running(configured(provider), tmp_path, clock=clock) as gateway:
        assert (await gateway.ask(messages=words, max_tokens=400))[0] == 200
        clock.now += 120
        status, answer, headers = await gateway.ask(messages=words, max_tokens=400)
        assert (status, answer["error"]["code"]) == (429, "upstream_rate_limited")
        assert headers["retry-after"] == str(seconds - 120)
        samples = await gateway.samples()
        assert samples.sum("rate_limited_total", scope="key", kind="session") == 1
        assert samples.sum("key_window_ratio", key="keyless", kind="session") == 0.8
        clock.now += seconds - 119
        assert (await gateway.ask(messages=words, max_tokens=400))[0] == 200


async def test_requests_at_once(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    provider = openai(fake_openai.url, limits={"max_parallel": 3})
    async with running(configured(provider), tmp_path) as gateway:
        gate = fake_openai.gate = asyncio.Event()
        tasks = [asyncio.create_task(gateway.ask(model="gpt-4o")) for _ in range(10)]
        await until(lambda: sum(task.done() for task in tasks) == 7 and len(fake_openai.requests) == 3)
        assert {task.result()[0] for task in tasks if task.done()} == {429}
        gate.set()
        await asyncio.wait(tasks)
        assert Counter(task.result()[0] for task in tasks) == {200: 3, 429: 7}
        assert next(iter(gateway.live.memory.keys.values())).meter.in_flight == 0


@pytest.mark.parametrize(
    ("asked", "sent", "clamped"),
    [
        ({"max_tokens": 100}, {"max_tokens": 20}, "max_tokens"),
        ({"max_completion_tokens": 100}, {"max_completion_tokens": 20}, "max_completion_tokens"),
        ({"max_tokens": 20}, {"max_tokens": 20}, None),
        ({"max_tokens": 7}, {"max_tokens": 7}, None),
        ({}, {"max_completion_tokens": 20}, None),
    ],
)
async def test_more_output_than_a_key_allows_is_lowered(
    asked: dict[str, int], sent: dict[str, int], clamped: str | None, fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    provider = openai(fake_openai.url, limits={"max_tokens": 20})
    async with running(configured(provider), tmp_path) as gateway:
        for ask in (gateway.ask, gateway.stream):
            status, _, headers = await ask(model="gpt-4o", **asked)
            assert (status, headers.get("x-coo-clamped")) == (200, clamped)
            body = fake_openai.requests[-1].json()
            limits = {name: body[name] for name in ("max_tokens", "max_completion_tokens") if name in body}
            assert limits == sent


async def test_a_candidate_that_allows_the_output_comes_first(tmp_path: Path) -> None:
    provider: dict[str, Any] = {
        **ECHO,
        "api_keys": [
            {"id": "short", "key": "s", "limits": {"max_tokens": 10}},
            {"id": "long", "key": "l", "limits": {"max_tokens": 50}},
            {"id": "limited", "key": "x", "limits": {"req_per_min": 1}},
        ],
    }
    config = configured(provider, policy={"algorithm": "round_robin"})
    async with running(config, tmp_path, clock=Clock()) as gateway:
        assert await _keys(gateway, 6, max_tokens=10) == {"short", "long", "limited"}
        assert await _keys(gateway, 4, max_tokens=50) == {"long"}
        for _ in range(3):
            _, _, headers = await gateway.ask(max_tokens=51)
            assert headers["x-coo-clamped"] == "max_tokens"


async def _keys(gateway: Gateway, times: int, **body: Any) -> set[str]:
    found = set()
    for _ in range(times):
        _, _, headers = await gateway.ask(**body)
        assert "x-coo-clamped" not in headers
        found.add(headers["x-coo-key"])
    return found


async def test_reaching_four_fifths_is_noticed_once(tmp_path: Path) -> None:
    clock = Clock()
    provider = {**ECHO, "limits": {"req_per_min": 10}}
    async with running(configured(provider), tmp_path, clock=clock) as gateway:
        counted = []
        for _ in range(10):
            await gateway.ask()
            counted.append((await gateway.samples()).sum("key_near_limit_total", kind="requests"))
        assert counted == [0] * 7 + [1] * 3
        assert (await gateway.samples()).sum("key_state", key="keyless", state="limited") == 1
        clock.now += 61
        assert (await gateway.samples()).sum("key_state", key="keyless", state="active") == 1
        for _ in range(8):
            await gateway.ask()
        assert (await gateway.samples()).sum("key_near_limit_total") == 2


@pytest.mark.timeout(240)
async def test_in_real_time(fake_openai: FakeOpenAI, tmp_path: Path, long_run: bool) -> None:
    """1,000 requests a minute at one key of 60, by the wall clock: the upstream counts."""
    if not long_run:
        pytest.skip("takes two and a half minutes; --long runs it")
    provider = openai(fake_openai.url, limits={"req_per_min": LIMIT})
    async with running(configured(provider), tmp_path) as gateway:
        began = time.monotonic()
        refused: list[tuple[float, float]] = []
        while (now := time.monotonic()) < began + 150:
            status, _, headers = await gateway.ask(model="gpt-4o")
            if status == 429:
                refused.append((now, now + int(headers["retry-after-ms"]) / 1000))
            await asyncio.sleep(60 / OFFERED)
    moments = [request.at for request in fake_openai.requests]
    assert most_within(moments, 60) <= LIMIT
    assert len(moments) >= 2 * LIMIT
    for now, again in refused:
        assert any(now < moment <= again + 0.5 for moment in moments) or again > began + 149
