"""What is remembered of provider keys, found by identity and bounded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from gateway.api import Kind, Limits, Outcome
from gateway.api.testing.algorithms import FixedMeter
from gateway.routing.circuit import CircuitSettings, CircuitState
from gateway.routing.memory import FREE_SECONDS, MAX_MODELS, KeyState, KeyStatus, Memory, ModelState
from gateway.routing.penalty import KeyPenalty
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


def test_only_keys_that_are_still_there_are_remembered() -> None:
    memory = Memory(MemoryStore())
    kept, gone = memory.key("p", "k", Limits()), memory.key("p", "gone", Limits())
    memory.retain([kept])
    assert memory.keys == {"key:p/k": kept}
    assert memory.key("p", "k", Limits()) is kept
    assert memory.key("p", "gone", Limits()) is not gone


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


Fact = tuple[str, str, float]


@dataclass(eq=False)
class Sharing(MemoryStore):
    """Keeps what it was to share."""

    shared_facts: list[Fact] = field(default_factory=list)

    def share(self, name: str, value: str, seconds: float) -> None:
        self.shared_facts.append((name, value, seconds))


@dataclass
class Process:
    """One process's memory of key k of provider p, with model m."""

    store: Sharing = field(default_factory=Sharing)

    def __post_init__(self) -> None:
        self.memory = Memory(self.store)
        self.key: KeyState = self.memory.key("p", "k", Limits())
        self.model: ModelState = self.memory.model(self.key, "m", CircuitSettings(min_requests=2))

    def said(self) -> list[Fact]:
        """What it shared since the last time."""
        facts = [*self.store.shared_facts]
        self.store.shared_facts.clear()
        return facts

    def hear(self, facts: list[Fact]) -> None:
        for name, value, seconds in facts:
            self.memory.hear(name, value, seconds)


@pytest.fixture
def pair() -> Iterator[tuple[Process, Process]]:
    """Two processes; whatever the second hears, it must not echo."""
    one, two = Process(), Process()
    yield one, two
    assert two.said() == []


def test_a_cool_down_holds_everywhere(pair: tuple[Process, Process]) -> None:
    one, two = pair
    now = time.monotonic()
    one.memory.cool(one.key, 30.0, now)
    one.memory.cool(one.key, 5.0, now)  # is no news
    facts = one.said()
    assert facts == [("key:p/k", "cooling", 30.0)]
    two.hear(facts)
    assert two.key.meter.cooled_until == pytest.approx(now + 30, abs=5)
    assert two.memory.trouble_until == two.key.meter.cooled_until
    assert not two.key.penalty.disabled(now)


def test_a_rejected_key_rests_everywhere_and_longer_each_time(pair: tuple[Process, Process]) -> None:
    one, two = pair
    now = time.monotonic()
    rejected = Outcome(Kind.KEY, 401, "no")
    one.memory.cool(one.key, one.key.penalty.on_failure(rejected, now), now)
    facts = one.said()
    assert facts == [("key:p/k", "disabled 1", 60.0)]
    two.hear(facts)
    assert two.key.penalty.disabled(now + 30)
    assert two.key.penalty.on_failure(rejected, now + 100) == 120.0


@pytest.mark.parametrize(
    "outcome", [Outcome(Kind.KEY, 401, "Rejected:\nno"), Outcome(Kind.LIMITED, 429, "Slow")]
)
def test_why_a_key_rests_is_known_everywhere(pair: tuple[Process, Process], outcome: Outcome) -> None:
    one, two = pair
    now = time.monotonic()
    one.key.last_error, one.key.last_error_at = outcome.message, 1_700_000_000.5
    two.key.last_error, two.key.last_error_at = "Another", 1_600_000_000.0
    one.memory.cool(one.key, one.key.penalty.on_failure(outcome, now), now)
    two.hear(one.said())
    assert (two.key.last_error, two.key.last_error_at) == (outcome.message, 1_700_000_000.5)
    assert two.key.penalty.disabled(now) == one.key.penalty.disabled(now)


@pytest.mark.parametrize("kind", [Kind.KEY, Kind.QUOTA])
def test_a_rejected_key_is_told_as_disabled_until_it_works_anywhere(
    pair: tuple[Process, Process], kind: Kind
) -> None:
    one, two = pair
    now = time.monotonic()
    rest = one.key.penalty.on_failure(Outcome(kind, 401, "no"), now)
    one.memory.cool(one.key, rest, now)
    two.hear(one.said())
    later = now + rest + 10
    assert [process.key.status(later) for process in pair] == [KeyStatus.DISABLED] * 2
    assert not any(process.key.penalty.disabled(later) for process in pair)  # it is tried again
    one.memory.accept(one.key, now - 1)  # had begun before
    assert one.said() == []
    assert one.key.status(later) is KeyStatus.DISABLED
    one.memory.accept(one.key, later)
    two.key.penalty.accept(now - 1)
    assert two.key.status(later) is KeyStatus.DISABLED
    facts = one.said()
    assert facts == [("key:p/k", "accepted", FREE_SECONDS)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now + rest - 1)  # had heard of it late
        two.hear(facts)
    assert [process.key.status(later) for process in pair] == [KeyStatus.ACTIVE] * 2
    one.memory.accept(one.key, later)
    assert one.said() == []  # is no news


def test_a_key_that_was_rejected_since_is_not_taken_for_accepted() -> None:
    process, now = Process(), time.monotonic()
    process.memory.cool(process.key, process.key.penalty.on_failure(Outcome(Kind.KEY, 401, "no"), now), now)
    process.memory.hear("key:p/k", "accepted", FREE_SECONDS)
    assert process.key.status(now + 120) is KeyStatus.DISABLED
    assert process.key.penalty.rejections == 1


def test_a_circuit_opens_and_closes_everywhere(pair: tuple[Process, Process]) -> None:
    one, two = pair
    now = time.monotonic()
    circuit = one.model.circuit
    for _ in range(2):
        circuit.on_failure(now, circuit.begin(now))
    facts = one.said()
    assert facts == [("circuit:m:key:p/k", "open", 15.0)]
    two.hear(facts)
    assert two.model.circuit.state(now) is CircuitState.OPEN
    circuit.on_success(now + 16, circuit.begin(now + 16))
    two.hear(one.said())
    assert two.model.circuit.state(now) is CircuitState.CLOSED


def test_a_freed_key_is_free_everywhere(pair: tuple[Process, Process]) -> None:
    one, two = pair
    now = time.monotonic()
    two.hear([("key:p/k", "disabled 3", 60.0), ("circuit:m:key:p/k", "open", 15.0)])
    for process in pair:
        process.model.health.record_failure(now)
        process.key.last_error, process.key.last_error_at = "Rejected.", 1_700_000_000.0
    one.memory.free(one.key, now)
    facts = one.said()
    assert facts == [("key:p/k", "free", FREE_SECONDS)]
    two.hear(facts)
    assert two.key.meter.cooled_until == 0.0
    assert not two.key.penalty.disabled(now)
    assert two.model.circuit.state(now) is CircuitState.CLOSED
    assert [process.model.health.error_rate(now) for process in pair] == [0.0, 0.0]
    assert [process.key.last_error for process in pair] == [None, None]
    assert [process.key.last_error_at for process in pair] == [None, None]


def test_a_freed_key_has_no_failures_behind_it(pair: tuple[Process, Process]) -> None:
    now = time.monotonic()
    circuit = pair[0].model.circuit
    circuit.on_failure(now, circuit.begin(now))
    pair[0].memory.free(pair[0].key, now)
    circuit.on_failure(now, circuit.begin(now))
    assert circuit.state(now) is CircuitState.CLOSED


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("key:p/gone", "cooling"),
        ("circuit:m:key:p/gone", "open"),
        ("circuit:", "open"),
        ("what", "?"),
        ("key:p/k", "disabled x"),
        ("key:p/k", "cooling\nx y"),
    ],
)
def test_what_it_does_not_know_does_no_harm(name: str, value: str) -> None:
    Process().memory.hear(name, value, 1.0)


def test_a_key_is_in_the_gravest_status_that_applies() -> None:
    memory, meter, penalty = Memory(MemoryStore()), FixedMeter(), KeyPenalty(lambda: 0.0)
    key = KeyState(meter, penalty)
    assert key.status(100.0) is KeyStatus.ACTIVE
    circuits = [memory.model(key, name, CircuitSettings(min_requests=1)).circuit for name in ("m", "n")]
    assert key.status(100.0) is KeyStatus.ACTIVE
    meter.token_share, meter.valid_until = 1.0, 160.0
    assert key.status(100.0) is KeyStatus.LIMITED
    circuits[0].on_failure(100.0, circuits[0].begin(100.0))
    assert key.status(100.0) is KeyStatus.LIMITED
    circuits[1].on_failure(100.0, circuits[1].begin(100.0))
    assert key.status(100.0) is KeyStatus.OPEN
    meter.cooled_until = 110.0
    assert key.status(100.0) is KeyStatus.COOLING
    penalty.on_failure(Outcome(Kind.QUOTA, 429, "no"), 100.0)
    assert key.status(100.0) is KeyStatus.DISABLED
    assert key.status(100.0 + 3600.0) is KeyStatus.DISABLED
    penalty.accept(100.0 + 3600.0)
    assert key.status(100.0 + 3600.0) is KeyStatus.ACTIVE
    key.off = True
    assert key.status(100.0 + 3600.0) is KeyStatus.DISABLED


def test_of_what_several_found_the_gravest() -> None:
    assert KeyStatus.gravest(["active", "open", "limited"]) is KeyStatus.OPEN
    assert KeyStatus.gravest(["cooling", "disabled", "cooling"]) is KeyStatus.DISABLED
