"""From a checked configuration to what serves requests."""

from __future__ import annotations

import gc
import json
import time
import weakref
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from gateway.api import Limits, Store
from gateway.build import build_runtime
from gateway.catalog import Target
from gateway.config.read import read
from gateway.instances import build_plugins
from gateway.registry import Registry
from gateway.routing.memory import Memory
from gateway.runtime import Runtime
from gateway_stores.memory import MemoryStore
from gateway_stores.windows.authority import WindowAuthority
from tests.stores.leased import LeasedStore

LIMITS = {
    "req_per_min": 10,
    "tokens_per_min": 1000,
    "max_tokens": 50,
    "session_limit": 9,
    "session_type": "1d",
}


def built(memory: Memory | None = None, **config: Any) -> Runtime:
    """The runtime of a configuration; with the ``memory`` of an earlier one."""
    registry = Registry.discover()
    memory = memory or Memory(MemoryStore())
    with TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(json.dumps(config))
        loaded = read(str(path), {}, registry.known())
    return build_runtime(loaded, build_plugins(loaded.config, registry), memory.store, memory)


def targets(runtime: Runtime, name: str) -> tuple[Target, ...]:
    pool = runtime.catalog.resolve(name)
    assert pool is not None
    return pool.targets


def test_a_key_s_own_limits_stand_in_place_of_its_provider_s_one_by_one() -> None:
    keys = ["plain", {"id": "own", "key": "k", "limits": {"req_per_min": 3, "tokens_per_min": 0}}]
    runtime = built(
        llm_providers=[{"id": "p", "type": "echo", "model": "m", "limits": LIMITS, "api_keys": keys}]
    )
    plain, own = targets(runtime, "m")
    assert plain.meter.limits == Limits(requests=10, tokens=1000, session=9, session_seconds=86400)
    assert own.meter.limits == Limits(requests=3, session=9, session_seconds=86400)
    assert (plain.secret.max_tokens, own.secret.max_tokens) == (50, 50)


def test_keys_and_clients_that_are_gone_are_forgotten_and_the_others_go_on() -> None:
    memory = Memory(LeasedStore(WindowAuthority(), time.monotonic))
    names = ("kept", "gone")

    def version(*names: str) -> Runtime:
        keys = [{"id": name, "key": f"key-{name}"} for name in names]
        provider = {"id": "p", "type": "echo", "model": "m", "api_keys": keys}
        clients = [{"id": name, "key": f"client-{name}", "limits": {"req_per_min": 9}} for name in names]
        return built(memory, llm_providers=[provider], api_keys=clients)

    runtime = version(*names)
    meters = {
        f"{kind}{name}": weakref.ref(memory.store.meter(f"{kind}{name}", Limits()))
        for kind in ("key:p/", "client:")
        for name in names
    }
    before = {subject: id(ref()) for subject, ref in meters.items()}
    runtime = version("kept")
    gc.collect()
    left = {subject: id(meter) for subject, ref in meters.items() if (meter := ref()) is not None}
    assert left == {subject: before[subject] for subject in ("key:p/kept", "client:kept")}
    assert list(memory.keys) == ["key:p/kept"]
    assert len(targets(runtime, "m")) == 1


def test_a_service_knows_what_its_plugin_has_beyond_what_all_have() -> None:
    echo = {"id": "echo", "type": "echo", "model": "m"}
    openai = {"id": "up", "type": "openai", "api_keys": ["k"], "base_url": "https://up", "model": "m"}
    services = built(llm_providers=[echo, openai]).catalog.services
    assert services["echo"].local is services["echo"].plugin
    assert (services["echo"].base_url, services["echo"].headroom) == (None, {})
    assert (services["up"].local, services["up"].base_url) == (None, "https://up")
    assert "x-ratelimit-limit-requests" in services["up"].headroom


def test_prices_are_the_nearest_ones_exactly() -> None:
    provider = {
        "id": "p",
        "type": "echo",
        "model": "m",
        "models": [{"name": "own", "pricing": {"input_token_cost": 0.1, "output_token_cost": 0.3}}, "n"],
        "pricing": {
            "input_token_cost": 0.0001,
            "output_token_cost": 0.0007,
            "cached_input_token_cost": 0.00005,
        },
    }
    runtime = built(llm_providers=[provider])
    (m,), (own,), (unlisted,) = (targets(runtime, name) for name in ("m", "own", "p:unlisted"))
    assert (m.prices.input, m.prices.output) == (Decimal("0.0001"), Decimal("0.0007"))
    assert m.prices.cache_read == Decimal("0.00005")
    assert (own.prices.input, own.prices.cache_read) == (Decimal("0.1"), None)
    assert [m.input_price, m.output_price] == pytest.approx([100, 700])
    assert (unlisted.prices.known, unlisted.input_price) == (False, None)


def test_weights_are_of_an_alias_member_and_shared_by_its_keys() -> None:
    providers = [
        {"id": "two-keys", "type": "echo", "model": "m", "api_keys": ["a", "b"]},
        {"id": "one-key", "type": "echo", "model": "m"},
    ]
    weighted = [{"target": "two-keys:m", "weight": 3}, {"target": "one-key:m", "weight": 1}]
    runtime = built(
        llm_providers=providers, model_aliases={"w": weighted, "even": ["two-keys:m", "one-key:m"]}
    )
    assert [target.weight for target in targets(runtime, "w")] == [1.5, 1.5, 1]
    assert [target.weight for target in targets(runtime, "even")] == [1, 1, 1]


def test_what_is_remembered_of_a_key_outlives_the_configuration() -> None:
    store: Store = MemoryStore()
    memory = Memory(store)
    provider: dict[str, Any] = {"id": "p", "type": "echo", "model": "m", "api_keys": ["a", "b"]}
    before = targets(built(memory, llm_providers=[provider]), "m")
    provider = {**provider, "limits": {"req_per_min": 7}, "api_keys": ["b", "c", "a"]}
    after = targets(built(memory, llm_providers=[provider]), "m")
    assert after[0].state is before[1].state
    assert after[2].meter is before[0].meter
    assert after[2].meter.limits.requests == 7
    assert after[1].state not in (before[0].state, before[1].state)


def test_the_algorithm_gets_those_settings_that_it_has() -> None:
    provider = {"id": "p", "type": "echo", "model": "m"}
    weights = {"latency": 1.0}
    for name, expected in (
        (
            "hybrid",
            {
                "priority": "cost",
                "hybrid_weights": {
                    **dict.fromkeys(("token_ratio", "req_ratio", "error_score", "cost_ratio"), 0.2),
                    **weights,
                },
            },
        ),
        ("round_robin", {}),
    ):
        policy = {"algorithm": name, "priority": "cost", "hybrid_weights": weights}
        algorithm = built(llm_providers=[provider], policy=policy).algorithm
        assert {key: getattr(algorithm, key) for key in expected} == expected


def test_a_client_s_stars_mean_everything() -> None:
    provider = {"id": "p", "type": "echo", "model": "m"}
    clients = [
        {"id": "all", "key": "sk-1"},
        {"id": "some", "key": "sk-2", "allowed_providers": ["p"], "allowed_models": ["gpt-*", "x"]},
    ]
    runtime = built(llm_providers=[provider], api_keys=clients)
    everything, some = (runtime.clients.find(key, 0) for key in ("sk-1", "sk-2"))
    assert everything is not None and (everything.providers, everything.models) == (None, None)
    assert some is not None and (some.providers, some.models) == (frozenset({"p"}), ("gpt-*", "x"))
    assert "sk-2" not in repr(some)
