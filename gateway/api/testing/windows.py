"""Random histories of reservations, played against a store and against a plain list of events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from functools import partial
from math import ceil
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.api import Limits, Reading, Refusal, Reservation, Site, Store
from gateway.api.testing.clock import ManualClock
from gateway.api.testing.loop import idle

T = TypeVar("T")
TICK = 1 / 64
TOKENS = st.integers(0, 60)


@dataclass(slots=True)
class Event:
    """What was used when."""

    time: float
    count: int


@dataclass(slots=True)
class EventLog:
    """The model of a window: it forgets nothing."""

    limit: int
    seconds: float
    events: list[Event] = field(default_factory=list)

    def add(self, now: float, count: int) -> Event:
        self.events.append(Event(now, count))
        return self.events[-1]

    def used(self, now: float, slack: float = 0.0) -> int:
        """The sum over ``(now - seconds, now]``, and the part ``slack`` of the window before it."""
        oldest = now - self.seconds * (1 + slack)
        return sum(event.count for event in self.events if event.time > oldest)


@dataclass(slots=True)
class Granted:
    """A reservation, and where the model has it."""

    reservation: Reservation
    charges: list[tuple[EventLog, Event]]


class WindowMachine(RuleBasedStateMachine):
    """Subclassed by `gateway.api.testing.stores` with the store to be tested.

    A store may count a little longer than a window is (`slack`), so it is held between two models:
    what it grants must fit the exact window, what it refuses must not fit the longer one.
    """

    make_store: Callable[[ManualClock], Store]
    make_loop: Callable[[ManualClock], asyncio.AbstractEventLoop]
    slack: float

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.runner = asyncio.Runner(loop_factory=partial(self.make_loop, self.clock))
        self.store = self.make_store(self.clock)
        self.run(self.store.open(Site()))
        self.open: list[Granted] = []
        self.closed: list[Reservation] = []

    def run(self, awaitable: Coroutine[object, object, T]) -> T:
        return self.runner.run(awaitable)

    def advance(self, seconds: float) -> None:
        """Let time pass, but not in the middle of what the store does in the background."""
        self.run(idle())
        self.clock.advance(seconds)

    @initialize(
        requests=st.sampled_from([0, 1, 4]),
        tokens=st.sampled_from([0, 10, 50]),
        parallel=st.sampled_from([0, 3]),
        session=st.sampled_from([0, 20, 100]),
        session_seconds=st.sampled_from([60.0, 600.0]),
    )
    def configure(
        self, requests: int, tokens: int, parallel: int, session: int, session_seconds: float
    ) -> None:
        self.limits = Limits(requests, tokens, parallel, session, session_seconds)
        self.meter = self.store.meter("key:p/k", self.limits)
        self.logs = {
            kind: EventLog(limit, seconds)
            for kind, limit, seconds in (
                ("requests", requests, 60.0),
                ("tokens", tokens, 60.0),
                ("session", session, session_seconds),
            )
            if limit
        }

    @rule(seconds=st.sampled_from([1 / 8, 3 / 8, 1.0, 7.0, 30.0, 59.75, 60.0, 61.0, 600.0]))
    def wait(self, seconds: float) -> None:
        self.advance(seconds)

    @rule(tokens=TOKENS)
    def reserve(self, tokens: int) -> None:
        self.attempt(tokens)

    @rule(tokens=TOKENS)
    def force(self, tokens: int) -> None:
        granted = self.run(self.store.reserve(self.meter, tokens, force=True))
        assert not isinstance(granted, Refusal)
        self.remember(granted, tokens)

    @rule(tokens=TOKENS)
    def heed_a_refusal(self, tokens: int) -> None:
        """The same reservation is refused until about ``retry_after`` is over, and granted then."""
        self.settle_all()  # else it may hang on what is reserved
        refusal = self.attempt(tokens)
        if refusal is None or self.slots_taken():
            return
        early = TICK * ceil(1 + self.slack * self.logs[refusal.kind].seconds / TICK)  # never rounds
        early = min(early, refusal.retry_after)
        self.advance(refusal.retry_after - early)
        assert self.attempt(tokens) is not None, "granted before its time"
        self.advance(early)
        assert self.attempt(tokens) is None, "refused after the time it named"

    @rule(tokens=TOKENS)
    def use_nothing(self, tokens: int) -> None:
        """What is refused for reservations alone, and nothing else, is granted where none of them is used."""
        refusal = self.attempt(tokens)
        if refusal is None or self.slots_taken():
            return
        self.settle_all(0)
        assert (self.attempt(tokens) is None) == refusal.pending

    @precondition(lambda self: self.open)
    @rule(data=st.data(), tokens=st.integers(0, 90))
    def settle(self, data: st.DataObject, tokens: int) -> None:
        self.end(self.open.pop(data.draw(st.integers(0, len(self.open) - 1))), tokens)

    @precondition(lambda self: self.closed)
    @rule(tokens=TOKENS)
    def settle_again(self, tokens: int) -> None:
        before = {kind: reading.used for kind, reading in self.readings().items()}
        self.run(self.store.settle(self.closed[-1], tokens))
        assert {kind: reading.used for kind, reading in self.readings().items()} == before

    @rule(requests=st.integers(1, 6), tokens=st.integers(5, 60))
    def reload(self, requests: int, tokens: int) -> None:
        """Limits change, windows stay."""
        if "requests" in self.logs:
            self.logs["requests"].limit = requests
            self.limits = replace(self.limits, requests=requests)
        if "tokens" in self.logs:
            self.logs["tokens"].limit = tokens
            self.limits = replace(self.limits, tokens=tokens)
        self.meter = self.store.meter("key:p/k", self.limits)

    @rule()
    def read(self) -> None:
        now = self.clock.now
        readings = self.readings()
        for kind, log in self.logs.items():
            assert readings[kind].limit == log.limit
            assert log.used(now) <= readings[kind].used <= log.used(now, self.slack)
        self.meter.refresh(now)
        assert self.meter.valid_until > now

    @invariant()
    def shares_hold_while_valid(self) -> None:
        if not hasattr(self, "meter"):
            return
        assert self.meter.in_flight == len(self.open)
        if self.clock.now < self.meter.valid_until:
            requests, tokens = self.shares(0.0)
            most_requests, most_tokens = self.shares(self.slack)
            assert requests <= self.meter.request_share <= most_requests
            assert tokens <= self.meter.token_share <= most_tokens

    def teardown(self) -> None:
        """Whatever happened: settled and left alone, nothing stays."""
        try:
            if hasattr(self, "meter"):
                for granted in self.open:
                    self.run(self.store.settle(granted.reservation, 1))
                self.open.clear()
                self.advance(1200.0)
                assert self.meter.in_flight == 0
                assert all(reading.used == 0 for reading in self.meter.readings())
        finally:
            with self.runner:
                self.run(self.store.close())

    def end(self, granted: Granted, tokens: int | None) -> None:
        """A request has used so many tokens; None: as many as were reserved."""
        used = max((event.count for _, event in granted.charges), default=0) if tokens is None else tokens
        self.run(self.store.settle(granted.reservation, used))
        self.closed.append(granted.reservation)
        for log, event in granted.charges:
            if used > event.count:
                log.add(self.clock.now, used - event.count)
            else:
                event.count = used

    def settle_all(self, tokens: int | None = None) -> None:
        while self.open:
            self.end(self.open.pop(), tokens)

    def attempt(self, tokens: int) -> Refusal | None:
        """Reserve, and hold the answer between the two models."""
        answer = self.run(self.store.reserve(self.meter, tokens))
        if isinstance(answer, Refusal):
            assert answer.retry_after > 0
            assert self.slots_taken() or not self.fits(tokens, self.slack), "refused what would fit"
            return answer
        assert not self.slots_taken()
        assert self.fits(tokens), "granted beyond a limit"
        self.remember(answer, tokens)
        return None

    def remember(self, reservation: Reservation, tokens: int) -> None:
        now = self.clock.now
        charges = []
        for kind, log in self.logs.items():
            event = log.add(now, need(kind, log, tokens))
            if kind != "requests":
                charges.append((log, event))
        self.open.append(Granted(reservation, charges))

    def fits(self, tokens: int, slack: float = 0.0) -> bool:
        return all(
            log.used(self.clock.now, slack) + need(kind, log, tokens) <= log.limit
            for kind, log in self.logs.items()
            if need(kind, log, tokens)
        )

    def shares(self, slack: float) -> tuple[float, float]:
        """The share of the request window in use, and that of the fuller token window."""
        used = {kind: log.used(self.clock.now, slack) / log.limit for kind, log in self.logs.items()}
        return used.get("requests", 0.0), max(used.get("tokens", 0.0), used.get("session", 0.0))

    def slots_taken(self) -> bool:
        return 0 < self.limits.parallel <= len(self.open)

    def readings(self) -> dict[str, Reading]:
        return {reading.kind: reading for reading in self.meter.readings()}


def need(kind: str, log: EventLog, tokens: int) -> int:
    """What a reservation takes of a window: an estimate above its limit is that limit."""
    return 1 if kind == "requests" else min(tokens, log.limit)
