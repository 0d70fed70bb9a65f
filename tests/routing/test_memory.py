"""What is remembered of provider keys, found by identity and bounded."""

from __future__ import annotations

from gateway.api import Limits
from gateway.routing.circuit import CircuitSettings
from gateway.routing.memory import MAX_MODELS, Memory
from gateway_stores.memory import MemoryStore

SETTINGS = CircuitSettings()


def test_a_key_is_the_same_whatever_its_limits() -> None:
    memory = Memory(MemoryStore())
    first = memory.key("p", "k", Limits(requests=1))
    again = memory.key("p", "k", Limits(requests=2))
    assert again is first
    assert first.meter.limits.requests == 2
    assert memory.key("p", "other", Limits()) is not first
    assert memory.key("q", "k", Limits()) is not first


def test_models_are_told_apart_up_to_a_number_then_share_one_state() -> None:
    memory = Memory(MemoryStore())
    key = memory.key("p", "k", Limits())
    states = [memory.model(key, f"m{number}", SETTINGS) for number in range(MAX_MODELS + 5)]
    assert len({id(state) for state in states}) == MAX_MODELS + 1
    assert states[-1] is states[-2]
    assert memory.model(key, "m0", SETTINGS) is states[0]


def test_circuits_go_by_the_newest_settings() -> None:
    memory = Memory(MemoryStore())
    key = memory.key("p", "k", Limits())
    state = memory.model(key, "m", SETTINGS)
    memory.model(key, "m", CircuitSettings(cooldown=1))
    assert state.circuit.settings.cooldown == 1


async def test_it_knows_until_when_any_key_is_in_trouble() -> None:
    memory = Memory(MemoryStore())
    key = memory.key("p", "k", Limits())
    now = 1000.0
    memory.cool(key, 30, now)
    memory.cool(key, 5, now)
    assert memory.trouble_until == now + 30
    assert key.meter.cooled_until > 0
