"""Clients with a budget: what is reserved, what is charged, who is refused, and in which words."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.api import Reading
from tests.daemon.running import KEY, Clock, Gateway, configured, openai, running, until
from tests.fakes.openai import FakeOpenAI

PRICES = {"input_token_cost": 0.001, "output_token_cost": 0.01}
ECHO = {"id": "up", "type": "echo", "model": "m", "pricing": PRICES}
DAY = 86400.0


def budgeted(*providers: dict[str, Any], usd: float, window: str = "1d", **sections: Any) -> dict[str, Any]:
    client = {"id": "one", "key": KEY, "budget": {"usd": usd, "window": window}}
    return configured(*providers, api_keys=[client], **sections)


def budget(gateway: Gateway) -> Reading:
    """Where the client's budget stands, in nano-dollars."""
    client = gateway.live.current.clients.named("one")
    assert client is not None
    return next(reading for reading in client.meter.readings() if reading.kind == "budget")


@pytest.mark.parametrize("stream", [False, True])
async def test_the_true_cost_is_charged(stream: bool, tmp_path: Path) -> None:
    async with running(budgeted(ECHO, usd=1), tmp_path) as gateway:
        for _ in range(3):
            await (gateway.stream if stream else gateway.ask)(max_tokens=50)
        costs = [record.cost_nano_usd for record in await gateway.records(3)]
        assert None not in costs
        assert budget(gateway).used == sum(cost or 0 for cost in costs) > 0


async def test_a_spent_budget_is_refused_until_it_has_left_the_window(tmp_path: Path) -> None:
    clock = Clock()
    async with running(budgeted(ECHO, usd=0.00005), tmp_path, clock=clock) as gateway:
        assert (await gateway.ask(max_tokens=2))[0] == 200
        clock.now += DAY / 2
        status, answer, headers = await gateway.ask(max_tokens=5)
        assert (status, headers["x-should-retry"]) == (429, "false")
        assert headers["retry-after"] == "43200"
        assert headers["x-coo-error-source"] == "policy"
        error = answer["error"]
        assert error["type"] == error["code"] == "insufficient_quota"
        assert error["details"]["limit"] == 0.00005
        assert 0 < error["details"]["remaining"] < 0.00005
        for part in ("budget of $0.00005 in any 24h0m0s", "again in 12h0m0s", "at 20"):
            assert part in error["message"]
        assert "is spent, reserved or held by other processes" in error["message"]
        assert (await gateway.stream(max_tokens=5))[0] == 429
        samples = await gateway.samples()
        assert samples.sum("rate_limited_total", scope="client", id="one", kind="budget") == 2
        clock.now += DAY / 2
        assert (await gateway.ask(max_tokens=5))[0] == 200


async def test_a_hundred_at_once_with_money_for_one(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    config = budgeted(openai(fake_openai.url, pricing=PRICES), usd=0.0015)
    async with running(config, tmp_path) as gateway:
        gate = fake_openai.gate = asyncio.Event()
        asking = [asyncio.create_task(gateway.ask(model="gpt-4o", max_tokens=100)) for _ in range(100)]
        await until(lambda: sum(task.done() for task in asking) == 99)
        gate.set()
        answers = await asyncio.gather(*asking)
        assert sorted(status for status, _, _ in answers) == [200] + [429] * 99
        for _, answer, headers in (answer for answer in answers if answer[0] == 429):
            assert answer["error"]["code"] == "insufficient_quota"
            assert "budget of $0.0015 in any 24h0m0s has no room" in answer["error"]["message"]
            assert "in flight" in answer["error"]["message"]
            assert (headers["retry-after"], headers.get("x-should-retry")) == ("1", None)
        assert len(fake_openai.requests) == 1
        assert budget(gateway).used == sum(r.cost_nano_usd or 0 for r in await gateway.records(100))


async def test_what_is_not_used_is_given_back(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    config = budgeted(openai(fake_openai.url, pricing=PRICES), usd=0.0015)
    async with running(config, tmp_path) as gateway:
        for _ in range(3):
            assert (await gateway.ask(model="gpt-4o", max_tokens=100))[0] == 200


async def test_no_upstream_no_cost(tmp_path: Path) -> None:
    config = budgeted({**ECHO, "failure_rate": 1}, usd=1, policy={"retry": {"interval": 0}})
    async with running(config, tmp_path) as gateway:
        assert (await gateway.ask())[0] == 502
        assert budget(gateway).used == 0


async def test_a_client_that_leaves_pays_what_was_used(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    config = budgeted(openai(fake_openai.url, pricing=PRICES), usd=1)
    async with running(config, tmp_path) as gateway:
        fake_openai.gate = asyncio.Event()
        asking = asyncio.create_task(gateway.stream(model="gpt-4o", max_tokens=100))
        await until(lambda: len(fake_openai.requests) == 1)
        asking.cancel()
        (record,) = await gateway.records(1)
        assert record.estimated
        assert budget(gateway).used == record.cost_nano_usd
        assert record.cost_nano_usd is not None


async def test_no_price_no_answer(tmp_path: Path) -> None:
    unpriced = {"id": "free", "type": "echo", "model": "f"}
    async with running(budgeted(ECHO, unpriced, usd=1), tmp_path) as gateway:
        status, answer, _ = await gateway.ask(model="f")
        assert (status, answer["error"]["code"]) == (403, "price_unknown")
        assert (await gateway.ask(model="up:unlisted"))[0] == 403
        assert (await gateway.ask())[0] == 200
        await gateway.reload(api_keys=[{"id": "one", "key": KEY, "budget": {"usd": 0}}])
        assert (await gateway.ask(model="f"))[0] == 200


async def test_of_a_pool_only_what_has_a_price_is_used(tmp_path: Path) -> None:
    unpriced = {"id": "free", "type": "echo", "model": "m"}
    failing = {**ECHO, "id": "failing", "failure_rate": 1, "model": "n"}
    policy = {"retry": {"interval": 0, "max_attempts": 1}, "fallback": {"providers": ["free", "up"]}}
    config = budgeted(ECHO, unpriced, failing, usd=1, policy=policy)
    async with running(config, tmp_path) as gateway:
        for _ in range(4):
            assert (await gateway.ask())[2]["x-coo-provider"] == "up"
        status, _, headers = await gateway.ask(model="n")
        assert (status, headers["x-coo-provider"]) == (200, "up")


async def test_the_dearest_that_may_answer_is_reserved(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    dear: dict[str, Any] = {"id": "dear", "type": "echo", "model": "d"}
    dear["pricing"] = {"input_token_cost": 0, "output_token_cost": 0, "reasoning_token_cost": 0.1}
    cheap = openai(fake_openai.url, pricing={"input_token_cost": 0, "output_token_cost": 0.001})
    config = budgeted(cheap, dear, usd=1, policy={"fallback": {"providers": ["dear"]}})
    async with running(config, tmp_path) as gateway:
        gate = fake_openai.gate = asyncio.Event()
        asking = asyncio.create_task(gateway.ask(model="gpt-4o", max_tokens=100, n=3))
        await until(lambda: len(fake_openai.requests) == 1)
        assert budget(gateway).used == 300 * 100_000
        gate.set()
        await asking
        assert budget(gateway).used < 300 * 1000
