"""Circuit breaker: stops sending one key's requests for one model where too many of them fail."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

SLICES = 10
"""How finely the counting window is cut."""


@dataclass(frozen=True, slots=True)
class CircuitSettings:
    """``policy.circuit_breaker``; times in seconds."""

    failure_ratio: float = 0.5
    min_requests: int = 10
    window: float = 30.0
    cooldown: float = 15.0
    slow_start: float = 30.0


class CircuitState(StrEnum):
    """Where a circuit stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class _Slice:
    __slots__ = ("begins", "failures", "total")

    def __init__(self, begins: float) -> None:
        self.begins = begins
        self.total = 0
        self.failures = 0


class Circuit:
    """Opens when at least ``min_requests`` outcomes within ``window`` are failures to ``failure_ratio``.

    After ``cooldown`` it lets one probe through at a time. A probe that succeeds closes it, and for
    ``slow_start`` the share of offered traffic it admits grows from 0 to 1.

    `admits` says whether to consider it; `begin` starts an attempt and gives a ticket, with which its
    outcome is reported: exactly one of `on_success`, `on_failure`, `on_neutral`. What was begun before
    the circuit last changed its state says nothing about the new one and is ignored.
    """

    __slots__ = (
        "_credit",
        "_epoch",
        "_open_until",
        "_probing",
        "_ramp_from",
        "_slices",
        "_turned",
        "settings",
    )

    def __init__(
        self,
        settings: CircuitSettings,
        turned: Callable[[CircuitState, float], None] = lambda state, seconds: None,
    ) -> None:
        """``turned`` is told each time that an attempt's outcome opens or closes it: its state, and the
        seconds of the cool-down."""
        self.settings = settings
        self._turned = turned
        self._slices: deque[_Slice] = deque()
        self._epoch = 1
        self._open_until: float | None = None
        self._probing = False
        self._ramp_from: float | None = None
        self._credit = 0.0

    def state(self, now: float) -> CircuitState:
        """Where it stands, without changing anything. ``now``: monotonic seconds."""
        if self._open_until is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if now < self._open_until else CircuitState.HALF_OPEN

    def admits(self, now: float) -> bool:
        """Whether a request that is on offer may go here.

        A refusal in state closed is slow start's, a preference: where nothing else is left, `begin`.
        """
        if self._open_until is not None:
            return now >= self._open_until and not self._probing
        if self._ramp_from is None:
            return True
        elapsed = now - self._ramp_from
        if elapsed >= self.settings.slow_start:
            self._ramp_from = None
            return True
        self._credit = min(self._credit + elapsed / self.settings.slow_start, 2.0)
        return self._credit >= 1

    def would_admit(self, now: float) -> bool:
        """What `admits` would say, without an offer being counted."""
        if self._open_until is not None or self._ramp_from is None:
            return self.admits(now)
        elapsed, slow_start = now - self._ramp_from, self.settings.slow_start
        return elapsed >= slow_start or self._credit + elapsed / slow_start >= 1

    def begin(self, now: float) -> int:
        """Start an attempt: its ticket, or 0 if the circuit is open or its probe is under way."""
        if self._open_until is not None:
            if now < self._open_until or self._probing:
                return 0
            self._probing = True
            self._epoch += 1
        self._credit = max(self._credit - 1, 0.0)
        return self._epoch

    def on_success(self, now: float, ticket: int) -> None:
        """The attempt succeeded."""
        if ticket != self._epoch:
            return
        if self._probing:
            self.close(now)
            self._turned(CircuitState.CLOSED, self.settings.cooldown)
        else:
            self._slice(now).total += 1

    def on_failure(self, now: float, ticket: int) -> None:
        """The attempt failed through the upstream's fault."""
        if ticket != self._epoch:
            return
        if self._probing:
            self._trip(now)
            return
        current = self._slice(now)
        current.total += 1
        current.failures += 1
        total = sum(part.total for part in self._slices)
        failures = sum(part.failures for part in self._slices)
        if total >= self.settings.min_requests and failures >= self.settings.failure_ratio * total:
            self._trip(now)

    def on_neutral(self, ticket: int) -> None:
        """The attempt says nothing about the upstream: cancelled, or the request itself was at fault."""
        if ticket == self._epoch:
            self._probing = False

    def open(self, now: float, seconds: float) -> None:
        """Let nothing through for ``seconds``: another process has seen why."""
        self._open_until = now + seconds
        self._reset()

    def close(self, now: float) -> None:
        """Let requests through again, with a slow start if it was open."""
        if self._open_until is not None:
            self._open_until = None
            self._ramp_from = now
            self._reset()

    def forget(self, now: float) -> None:
        """As `close`, and count anew even if it was not open: an operator says that all is well."""
        self.close(now)
        self._reset()

    def _trip(self, now: float) -> None:
        self.open(now, self.settings.cooldown)
        self._turned(CircuitState.OPEN, self.settings.cooldown)

    def _reset(self) -> None:
        self._epoch += 1
        self._probing = False
        self._credit = 0.0
        self._slices.clear()

    def _slice(self, now: float) -> _Slice:
        """The slice that counts outcomes of now; drops those that have left the window."""
        slices = self._slices
        width = self.settings.window / SLICES
        if slices and now < slices[-1].begins + width:
            return slices[-1]
        while slices and slices[0].begins + width + self.settings.window <= now:
            slices.popleft()
        slices.append(_Slice(now))
        return slices[-1]
