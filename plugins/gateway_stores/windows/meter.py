"""One subject's windows in this process: requests, tokens, session, budget and slots, taken all or none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from gateway.api import Limits, Reading, Refusal
from gateway_stores.windows.window import Bucket, Window, limited

GUESS = 1.0
"""Seconds to tell where nobody knows when there is room: what is in the way may be gone at any time."""


@dataclass(slots=True, eq=False)
class Held:
    """A granted reservation, and which buckets hold what of it."""

    meter: WindowMeter
    request: tuple[Window, Bucket] | None
    """Where the request itself is counted, if it is."""
    charges: list[tuple[Window, Bucket, int]]
    """Where its tokens are."""
    spent: tuple[Window, Bucket, int] | None = None
    """Where its cost is."""
    settled: bool = False


class WindowMeter:
    """Implements `gateway.api.Meter`. A subject without limits only counts what is in flight."""

    __slots__ = (
        "_budget",
        "_clock",
        "_requests",
        "_shortest",
        "_token_windows",
        "_windows",
        "cooled_until",
        "in_flight",
        "limits",
        "request_share",
        "subject",
        "token_share",
        "valid_until",
    )

    def __init__(self, subject: str, limits: Limits, clock: Callable[[], float]) -> None:
        self.subject = subject
        self.in_flight = 0
        self.cooled_until = 0.0
        self._clock = clock
        self._windows: dict[str, Window] = {}
        self.configure(limits)

    def configure(self, limits: Limits) -> None:
        """Go on with other limits; a window that stays limited keeps what was used."""
        self.limits = limits
        known = self._windows
        self._windows = {}
        for kind, limit, seconds in limited(limits):
            self._windows[kind] = window = known.get(kind) or Window(limit, seconds)
            window.change(limit, seconds)
        self._requests = self._windows.get("requests")
        self._shortest = min((window.seconds for window in self._windows.values()), default=inf)
        self.request_share = 0.0
        self._budget = self._windows.get("budget")
        self._token_windows = [self._windows[kind] for kind in ("tokens", "session") if kind in self._windows]
        self.refresh(self._clock())

    def refresh(self, now: float) -> None:
        """Let windows slide to ``now`` (monotonic seconds)."""
        self.valid_until = inf
        for window in self._windows.values():
            window.slide(now)
            if window.buckets:
                self.valid_until = min(self.valid_until, window.buckets[0].leaves)
        self._share(now)

    def readings(self) -> list[Reading]:
        """Every window that has a limit, as of now."""
        now = self._clock()
        if now >= self.valid_until:
            self.refresh(now)
        readings = [
            Reading(kind, window.limit, window.used, window.reset(now))
            for kind, window in self._windows.items()
        ]
        if self.limits.parallel:
            readings.append(Reading("parallel", self.limits.parallel, self.in_flight, 0.0))
        return readings

    def take(self, tokens: int, cost: int, now: float, *, force: bool) -> Held | Refusal:
        """Reserve one request, ``tokens``, ``cost`` nano-dollars and a slot, or say which window refuses and
        for how long."""
        if now >= self.valid_until:
            self.refresh(now)
        if not (force or self._fits(tokens, cost)):
            return self._refusal(tokens, cost, now)
        self.in_flight += 1
        request = spent = None
        charges: list[tuple[Window, Bucket, int]] = []
        if self._windows:
            if self._requests is not None:
                request = self._requests, self._requests.add(now, 1)
            for window in self._token_windows:
                amount = min(tokens, window.limit)
                charges.append((window, window.reserve(now, amount), amount))
            if self._budget is not None:
                amount = min(cost, self._budget.limit)
                spent = self._budget, self._budget.reserve(now, amount), amount
            self._share(now)
        return Held(self, request, charges, spent)

    def settle(self, held: Held, tokens: int, cost: int, now: float) -> None:
        """Free the slot; count what was used in place of what was reserved."""
        if held.settled:
            return
        held.settled = True
        self.in_flight -= 1
        if now >= self.valid_until:
            self.refresh(now)
        for window, bucket, amount in held.charges:
            window.settle(now, bucket, amount, tokens)
        if held.spent is not None:
            window, bucket, amount = held.spent
            window.settle(now, bucket, amount, cost)
        if held.charges or held.spent is not None:
            self._share(now)

    def release(self, held: Held, now: float) -> None:
        """Undo what was taken, as if it had never been."""
        if not held.settled and held.request is not None:
            window, bucket = held.request
            window.slide(now)
            window.refund(now, bucket, 1)
        self.settle(held, 0, 0, now)
        self._share(now)

    def _fits(self, tokens: int, cost: int) -> bool:
        parallel = self.limits.parallel
        if parallel and self.in_flight >= parallel:
            return False
        requests = self._requests
        if requests is not None and requests.used >= requests.limit:
            return False
        for window in self._token_windows:
            room = window.limit - window.used
            if tokens > max(room, 0) and room < window.limit:  # alone in its window, any request fits
                return False
        budget = self._budget
        return budget is None or min(cost, budget.limit) <= max(budget.limit - budget.used, 0)

    def _refusal(self, tokens: int, cost: int, now: float) -> Refusal:
        refusals = []
        for kind, window in self._windows.items():
            amount = 1 if kind == "requests" else min(cost if kind == "budget" else tokens, window.limit)
            if wait := window.wait(now, amount):
                refusals.append(refused(kind, window.limit, wait, window.pending(amount)))
        parallel = self.limits.parallel
        if parallel and self.in_flight >= parallel:
            refusals.append(Refusal("parallel", parallel, GUESS))
        return max(refusals, key=weight)

    def _share(self, now: float) -> None:
        """Bring the public figures up to date after windows changed."""
        if self._requests is not None:
            self.request_share = self._requests.used / self._requests.limit
        fullest = 0.0
        for window in self._token_windows:
            share = window.used / window.limit
            if share > fullest:
                fullest = share
        self.token_share = fullest
        due = now + self._shortest
        if due < self.valid_until:
            self.valid_until = due


def refused(kind: str, limit: int, wait: float, pending: bool) -> Refusal:
    """A window has no room for ``wait`` seconds if all that is reserved is used."""
    return Refusal(kind, limit, GUESS, pending=True) if pending else Refusal(kind, limit, wait)


def weight(refusal: Refusal) -> tuple[bool, float]:
    """Of several, the one to tell has the most: what is only a guess says less than what is known."""
    return not refusal.pending, refusal.retry_after
