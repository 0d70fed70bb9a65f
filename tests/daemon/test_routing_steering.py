"""The algorithms as clients meet them: who gets the traffic when keys differ in what they cost, how fast they
are, how often they fail and how much of them is used."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.running import Clock, Gateway, configured, openai, running, until
from tests.fakes.openai import FakeOpenAI
from tests.fakes.upstream import Fault

CHEAP, DEAR = (
    {"input_token_cost": 0.001, "output_token_cost": 0.002},
    {"input_token_cost": 0.01, "output_token_cost": 0.02},
)


def echo(id_: str, **settings: Any) -> dict[str, Any]:
    return {"id": id_, "type": "echo", "model": "m", **settings}


async def ask_often(gateway: Gateway, times: int, **body: Any) -> Counter[str]:
    """Who answered, one request after the other."""
    found: Counter[str] = Counter()
    for _ in range(times):
        status, answer, headers = await gateway.ask(**body)
        assert status == 200, answer
        found[headers["x-coo-provider"]] += 1
    return found


async def test_round_robin_is_strict(tmp_path: Path) -> None:
    config = configured(
        echo("a", api_keys=["1", "2"]), echo("b"), echo("c"), policy={"algorithm": "round_robin"}
    )
    async with running(config, tmp_path) as gateway:
        found = []
        for _ in range(12):
            _, _, headers = await gateway.ask()
            found.append((headers["x-coo-provider"], headers["x-coo-key"]))
        assert len(set(found)) == 4
        assert found == found[:4] * 3


async def test_round_robin_by_weights_is_smooth(tmp_path: Path) -> None:
    pool = [{"target": "a:m", "weight": 5}, {"target": "b:m", "weight": 1}, {"target": "c:m", "weight": 1}]
    config = configured(
        echo("a"), echo("b"), echo("c"), model_aliases={"pool": pool}, policy={"algorithm": "round_robin"}
    )
    async with running(config, tmp_path) as gateway:
        order = [(await gateway.ask(model="pool"))[2]["x-coo-provider"] for _ in range(14)]
        assert "".join(order) == "aabacaa" * 2


async def test_pools_have_cycles_of_their_own(tmp_path: Path) -> None:
    config = configured(echo("a", models=["n"]), echo("b", models=["n"]), policy={"algorithm": "round_robin"})
    async with running(config, tmp_path) as gateway:
        order = [(await gateway.ask(model=model))[2]["x-coo-provider"] for model in ("m", "n", "m", "n")]
        assert order == ["a", "a", "b", "b"]


async def test_least_loaded_takes_the_emptiest_token_window(tmp_path: Path) -> None:
    limits = {"small": 1_000, "large": 9_000}
    providers = [echo(id_, limits={"tokens_per_min": limit}) for id_, limit in limits.items()]
    words = [{"role": "user", "content": "word " * 25}]
    config = configured(*providers, policy={"algorithm": "least_loaded"})
    async with running(config, tmp_path, clock=Clock()) as gateway:
        found = await ask_often(gateway, 100, messages=words, max_tokens=25)
        assert found == {"small": 10, "large": 90}


async def test_least_loaded_then_takes_the_fewest_in_flight(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    provider = openai(fake_openai.url, api_keys=["good-key", "good-key-2", "good-key-3"])
    fake_openai.keys |= {"good-key-2", "good-key-3"}
    async with running(configured(provider, policy={"algorithm": "least_loaded"}), tmp_path) as gateway:
        gate = fake_openai.gate = asyncio.Event()
        tasks = []
        for number in range(1, 10):
            tasks.append(asyncio.create_task(gateway.ask(model="gpt-4o")))
            await until(lambda: len(fake_openai.requests) == number)  # noqa: B023
        keys = [key.meter.in_flight for key in gateway.live.memory.keys.values()]
        assert keys == [3, 3, 3]
        gate.set()
        await asyncio.gather(*tasks)


@pytest.mark.parametrize(
    ("policy", "winner"),
    [
        ({"priority": "cost"}, "cheap"),
        ({"priority": "latency"}, "fast"),
        ({"priority": "req"}, "roomy"),
        ({"priority": "token"}, "roomy"),
        ({"hybrid_weights": {"cost_ratio": 1, "latency": 0, "req_ratio": 0, "token_ratio": 0}}, "cheap"),
        ({"hybrid_weights": {"cost_ratio": 0, "latency": 1, "req_ratio": 0, "token_ratio": 0}}, "fast"),
        ({"priority": "cost", "hybrid_weights": {"latency": 1, "cost_ratio": 0, "req_ratio": 0}}, "fast"),
    ],
)
async def test_hybrid_goes_where_its_weights_point(
    policy: dict[str, Any], winner: str, tmp_path: Path
) -> None:
    """Each of three is the best in one respect and the worst in another: the dear one is fast, the cheap one
    slow, the third in between with empty windows where the others' are half full."""
    used = {"req_per_min": 100, "tokens_per_min": 10_000}
    middling = {"input_token_cost": 0.007, "output_token_cost": 0.014}
    config = configured(
        echo("cheap", pricing=CHEAP, first_token_ms=40, limits=used),
        echo("fast", pricing=DEAR, first_token_ms=0, limits=used),
        echo("roomy", pricing=middling, first_token_ms=30, limits=dict.fromkeys(used, 10**6)),
        policy={"algorithm": "hybrid", **policy},
    )
    async with running(config, tmp_path, clock=Clock()) as gateway:
        for provider in ("cheap", "fast", "roomy"):  # teach latencies, fill windows
            await gateway.ask(model=f"{provider}:m")
        memory = gateway.live.memory
        for name in ("cheap", "fast"):
            meter = memory.keys[f"key:{name}/keyless"].meter
            await asyncio.gather(*[_fill(gateway, meter) for _ in range(59)])
        assert (await ask_often(gateway, 6)).most_common(1)[0][0] == winner


async def _fill(gateway: Gateway, meter: Any) -> None:
    """Use one request and 100 tokens of a window."""
    reservation = await gateway.live.store.reserve(meter, 100)
    await gateway.live.store.settle(reservation, 100)  # type: ignore[arg-type]


async def test_equals_share_out_the_load(tmp_path: Path) -> None:
    providers = [echo(id_, limits={"req_per_min": 1000}) for id_ in "abcd"]
    config = configured(*providers, policy={"hybrid_weights": {"latency": 0}})
    async with running(config, tmp_path, clock=Clock()) as gateway:
        assert await ask_often(gateway, 80) == dict.fromkeys("abcd", 20)


async def test_hybrid_turns_away_from_what_fails(tmp_path: Path) -> None:
    config = configured(
        echo("bad", failure_rate=1),
        echo("good"),
        policy={"retry": {"max_attempts": 2, "interval": 0}, "circuit_breaker": {"min_requests": 1000}},
    )
    async with running(config, tmp_path) as gateway:
        assert await ask_often(gateway, 30) == {"good": 30}
        samples = await gateway.samples()
        assert 1 <= samples.sum("upstream_attempts_total", provider="bad", outcome="failed") <= 3


async def test_an_open_circuit_is_left_alone_and_said_to_be(tmp_path: Path) -> None:
    config = configured(
        echo("bad", failure_rate=1),
        echo("good"),
        policy={
            "algorithm": "round_robin",
            "retry": {"max_attempts": 2},
            "circuit_breaker": {"min_requests": 3, "cooldown": "1h"},
        },
    )
    async with running(config, tmp_path) as gateway:
        assert await ask_often(gateway, 20) == {"good": 20}
        samples = await gateway.samples()
        assert samples.sum("upstream_attempts_total", provider="bad") == 3
        assert samples.sum("key_state", provider="bad", state="open") == 1
        assert samples.sum("key_state", provider="good", state="active") == 1
        status, answer, headers = await gateway.ask(model="bad:m")
        assert (status, headers["x-coo-provider"]) == (200, "good"), answer
        await gateway.reload(policy={**gateway.config["policy"], "fallback": {"enabled": False}})
        status, answer, headers = await gateway.ask(model="bad:m")
        assert (status, answer["error"]["code"]) == (503, "no_provider_available")
        assert "retry-after" in headers


async def test_a_limited_key_waits_while_another_is_free(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    """Cooling after a 429, by the time that the upstream named."""
    fake_openai.keys.add("second")
    provider = openai(fake_openai.url, api_keys=["good-key", "second"])
    async with running(configured(provider, policy={"algorithm": "round_robin"}), tmp_path) as gateway:
        fake_openai.script.append(Fault(429, headers={"retry-after": "100"}))
        keys = [(await gateway.ask(model="gpt-4o"))[2]["x-coo-key"] for _ in range(10)]
        assert len(set(keys)) == 1
        samples = await gateway.samples()
        assert samples.sum("key_state", state="cooling") == samples.sum("key_state", state="active") == 1
        assert samples.sum("upstream_attempts_total", outcome="limited") == 1
