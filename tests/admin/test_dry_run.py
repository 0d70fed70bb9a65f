"""The routing dry run: what it says of each candidate, and that the next request goes where it says."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import Kind, Outcome
from tests.admin.calling import administered, call
from tests.daemon.running import Clock, Gateway, running


def provider(id: str, price: float | None = 0.002, **settings_: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": id,
        "type": "echo",
        "model": "m",
        "api_keys": [{"id": "k", "key": f"canary-key-of-{id}"}],
        **settings_,
    }
    if price is not None:
        made["pricing"] = {"input_token_cost": price, "output_token_cost": 5 * price}
    return made


async def route(gateway: Gateway, **body: Any) -> Any:
    status, found = await call(gateway, "POST /route", {"model": "m", **body})
    assert status == 200
    return found


def of(found: Any, id: str) -> Any:
    return next(one for one in found["candidates"] if one["provider"] == id)


async def test_every_candidate_with_its_score_and_cost(tmp_path: Path) -> None:
    config = administered(provider("cheap", 0.001), provider("dear", 0.01), policy={"priority": "cost"})
    async with running(config, tmp_path) as gateway:
        found = await route(gateway, input_tokens=1000, max_tokens=100)
        assert found["expected"] == {"input_tokens": 1000, "output_tokens": 100}
        assert found["chosen"] == {"provider": "cheap", "key": "k", "model": "m"}
        cheap, dear = found["candidates"]
        assert found["why"].endswith("most of that is cost_ratio: 0.050 against 0.500.")
        assert cheap["expected_cost_nano_usd"] == 1_500_000  # 0.001 + 0.1 * 0.005 dollars
        assert cheap["score"] < dear["score"]
        assert abs(sum(dear["terms"].values()) - dear["score"]) < 1e-9


async def test_why_a_candidate_is_left_out(tmp_path: Path) -> None:
    ids = ("off", "cooling", "rejected", "full", "open", "fine")
    limits: dict[str, Any] = {"full": {"limits": {"tokens_per_min": 50}}}
    config = administered(*(provider(id, **limits.get(id, {})) for id in ids))
    async with running(config, tmp_path) as gateway:
        memory, now = gateway.live.memory, time.monotonic()
        keys = {id: memory.keys[f"key:{id}/k"] for id in ids}
        assert (await call(gateway, "POST /providers/off/keys/k/disable"))[0] == 200
        memory.cool(keys["cooling"], 30.0, now)
        rejection = Outcome(Kind.KEY, 401, "")
        memory.cool(keys["rejected"], keys["rejected"].penalty.on_failure(rejection, now), now)
        await gateway.live.store.reserve(keys["full"].meter, 40)
        keys["open"].models["m"].circuit.open(now, 60.0)
        found = await route(gateway, input_tokens=20, max_tokens=10)
        reasons = {id: " ".join(of(found, id)["reasons"]) for id in ids}
        assert reasons["off"] == "disabled by an operator"
        assert reasons["cooling"].startswith("cooling down for ")
        assert reasons["rejected"].endswith("the provider rejected the key")
        assert reasons["full"].startswith("its tokens window is full: 40 of 50")
        assert reasons["open"].startswith("its circuit is open")
        assert reasons["fine"] == ""
        assert found["chosen"]["provider"] == "fine"
        assert [one["usable"] for one in found["candidates"]].count(True) == 1


async def test_what_a_client_may_not_use(tmp_path: Path) -> None:
    config = administered(provider("a"), provider("b"), provider("unpriced", None))
    config["api_keys"] += [
        {"id": "only-a", "key": "sk-a", "allowed_providers": ["a"]},
        {"id": "thrifty", "key": "sk-b", "budget": {"usd": 1}},
        {"id": "none", "key": "sk-c", "allowed_models": ["other"], "budget": {"usd": 1}},
    ]
    async with running(config, tmp_path) as gateway:
        found = await route(gateway, client="only-a")
        assert found["chosen"]["provider"] == "a"
        assert of(found, "b")["reasons"] == ["the client may not use this provider"]
        found = await route(gateway, client="thrifty")
        assert of(found, "unpriced")["reasons"] == ["its price is not known, and the client has a budget"]
        found = await route(gateway, client="none")
        assert (found["chosen"], found["refusal"]["code"]) == (None, "model_not_allowed")
        reasons = [reason for one in found["candidates"] for reason in one["reasons"]]
        assert reasons == ["the client may not use this model"] * 3
        assert (await route(gateway))["refusal"] is None


async def test_a_client_that_is_not_let_in(tmp_path: Path) -> None:
    config = administered(provider("a"))
    config["api_keys"].append({"id": "past", "key": "sk-past", "expires_at": "2026-01-31T00:00:00Z"})
    async with running(config, tmp_path) as gateway:
        for client in ("past", "anonymous"):
            found = await route(gateway, client=client)
            assert (found["chosen"], found["refusal"]["status"]) == (None, 401)
            assert found["refusal"]["code"] == "invalid_api_key" and "not let in" in found["why"]
        assert (await call(gateway, "POST /clients/one/rotate", {"grace": "1h"}))[0] == 200
        assert (await call(gateway, "POST /clients/one/rotate", {"grace": 0}))[0] == 200
        assert (await route(gateway, client="one"))["chosen"] is not None


async def test_a_client_at_its_limit(tmp_path: Path) -> None:
    config = administered(provider("a"))
    config["api_keys"][0]["limits"] = {"req_per_min": 1}
    async with running(config, tmp_path) as gateway:
        assert (await route(gateway, client="one"))["client_limits"] == []
        assert (await gateway.ask())[0] == 200
        found = await route(gateway, client="one")
        assert found["chosen"] is None and "429" in found["why"]
        assert of(found, "a")["usable"]
        (full,) = found["client_limits"]
        assert full.startswith("its requests window is full: 1 of 1")


async def test_a_budget_is_held_against_what_the_client_may_use(tmp_path: Path) -> None:
    config = administered(provider("cheap"), provider("dear", 1000.0))
    only_cheap = {"id": "thrifty", "key": "sk-thrifty", "allowed_providers": ["cheap"], "budget": {"usd": 1}}
    config["api_keys"].append(only_cheap)
    async with running(config, tmp_path) as gateway:
        thrifty = gateway.of("sk-thrifty")
        assert (await thrifty.ask())[0] == 200
        found = await route(gateway, client="thrifty")
        assert (found["client_limits"], found["chosen"] and found["chosen"]["provider"]) == ([], "cheap")
        assert (await thrifty.ask())[0] == 200


async def test_whose_keys_allow_as_many_tokens_stand_before(tmp_path: Path) -> None:
    config = administered(
        provider("tight", 0.001, limits={"max_tokens": 10}), provider("wide"), policy={"priority": "cost"}
    )
    async with running(config, tmp_path) as gateway:
        assert (await route(gateway, max_tokens=10))["chosen"]["provider"] == "tight"
        found = await route(gateway, max_tokens=11)
        assert found["chosen"]["provider"] == "wide" and "allows fewer tokens" in found["why"]


async def test_other_providers_stand_behind(tmp_path: Path) -> None:
    config = administered(
        provider("a"), provider("b", model="other"), policy={"fallback": {"providers": ["b"]}}
    )
    async with running(config, tmp_path) as gateway:
        found = await route(gateway)
        assert [(one["provider"], one["fallback"]) for one in found["candidates"]] == [
            ("a", False),
            ("b", True),
        ]
        assert (await call(gateway, "POST /providers/a/keys/k/disable"))[0] == 200
        assert (await route(gateway))["chosen"]["provider"] == "b"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"model": "m", "nothing": 1}, 400),
        ({"model": "m", "input_tokens": -1}, 400),
        ({"model": "m", "input_tokens": True}, 400),
        ({"model": "m", "max_tokens": 0}, 400),
        ({"model": "m", "messages": []}, 400),
        ({"model": "m", "client": "nobody"}, 404),
        ({"model": "m", "client": 7}, 400),
        ([], 400),
    ],
)
async def test_what_cannot_be_asked(tmp_path: Path, body: object, status: int) -> None:
    async with running(administered(provider("a")), tmp_path) as gateway:
        assert (await call(gateway, "POST /route", body))[0] == status


async def test_a_model_that_nobody_has(tmp_path: Path) -> None:
    async with running(administered(provider("a")), tmp_path) as gateway:
        found = await route(gateway, model="none")
        assert (found["chosen"], found["refusal"]["status"], found["candidates"]) == (None, 404, [])


def snapshot(gateway: Gateway) -> Any:
    """Everything that routing goes by, as far as it can be seen."""
    keys = gateway.live.memory.keys
    return {
        subject: (
            [reading._replace(reset=0.0) for reading in key.meter.readings()],
            key.meter.in_flight,
            key.meter.cooled_until,
            {name: (model.circuit._credit, model.circuit._epoch) for name, model in key.models.items()},
        )
        for subject, key in keys.items()
    }


@settings(max_examples=12, deadline=None)
@given(
    algorithm=st.sampled_from(["round_robin", "least_loaded", "hybrid", "adaptive"]),
    prices=st.permutations([0.001, 0.002, 0.004, 0.008]),
    used=st.lists(st.integers(0, 9), min_size=4, max_size=4),
    cooled=st.sets(st.integers(0, 3)),
    off=st.sets(st.integers(0, 3), max_size=2),
    opened=st.sets(st.integers(0, 3), max_size=2),
    requests=st.integers(1, 4),
)
def test_the_next_request_goes_where_it_says(
    algorithm: str,
    prices: list[float],
    used: list[int],
    cooled: set[int],
    off: set[int],
    opened: set[int],
    requests: int,
) -> None:
    ids = [f"p{number}" for number in range(4)]
    providers = [
        provider(id, price, limits={"req_per_min": 10, "tokens_per_min": 100_000 + 7 * number})
        for number, (id, price) in enumerate(zip(ids, prices, strict=True))
    ]

    async def compare() -> None:
        config = administered(*providers, policy={"algorithm": algorithm})
        with tempfile.TemporaryDirectory() as folder:
            async with running(config, Path(folder), clock=Clock()) as gateway:
                memory, now = gateway.live.memory, time.monotonic()
                for number, id in enumerate(ids):
                    key = memory.keys[f"key:{id}/k"]
                    for _ in range(used[number]):
                        held = await gateway.live.store.reserve(key.meter, 100 + number)
                        assert held is not None
                    if number in cooled:
                        memory.cool(key, 100.0, now)
                    if number in opened:
                        key.models["m"].circuit.open(now, 100.0)
                memory.disable(frozenset(f"p{number}/k" for number in off))
                for _ in range(requests):
                    before = snapshot(gateway)
                    found = await route(gateway, client="one")
                    assert snapshot(gateway) == before
                    status, _, headers = await gateway.ask()
                    if found["chosen"] is None:
                        assert status in (429, 503)
                        continue
                    assert status == 200
                    equals = [one["provider"] for one in found["candidates"] if one["usable"]]
                    if "alike" not in found["why"]:
                        assert headers["x-coo-provider"] == found["chosen"]["provider"]
                    assert headers["x-coo-provider"] in equals

    asyncio.run(compare())
