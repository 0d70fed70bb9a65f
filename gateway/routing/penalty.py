"""How long a key rests after a failure that is about the key."""

from __future__ import annotations

import random
from collections.abc import Callable

from gateway.api import Kind, Outcome

LONGEST_WISH = 300.0
"""Seconds: what an upstream may ask us to wait at most."""
QUOTA_REST = 3600.0
JITTER = 0.25
"""A doubled wait is made longer by up to this part of it, so that keys do not come back all at once."""


class Backoff:
    """A wait that doubles from one episode to the next.

    The failures of requests that were in flight together are one episode: while a wait runs, what is
    left of it is the answer.
    """

    __slots__ = ("_episodes", "_first", "_jitter", "_longest", "_until")

    def __init__(self, first: float, longest: float, jitter: float = 0.0) -> None:
        self._first = first
        self._longest = longest
        self._jitter = jitter
        self._episodes = 0
        self._until = 0.0

    def fail(self, now: float, random: Callable[[], float]) -> float:
        """Seconds to wait from ``now`` (monotonic seconds)."""
        if now >= self._until:
            ceiling = self._longest / (1 + self._jitter)
            wait = min(self._first * 2.0 ** min(self._episodes, 30), ceiling)
            self._until = now + wait * (1 + self._jitter * random())
            self._episodes += 1
        return self._until - now

    def reset(self) -> None:
        """Begin with the first wait again; one that runs is not cut short."""
        self._episodes = 0

    @property
    def episodes(self) -> int:
        """Waits since the last `reset`."""
        return self._episodes

    def adopt(self, until: float, episodes: int) -> None:
        """Take over a wait that began elsewhere."""
        self._until = max(self._until, until)
        self._episodes = max(self._episodes, episodes)


class KeyPenalty:
    """The penalties of one key. It decides; the caller puts the seconds into effect (`Store.cool`).
    To forget them all, replace it by a new one.
    """

    __slots__ = ("_disabled_until", "_limited", "_overloaded", "_penalised", "_random", "_rejected")

    def __init__(self, random: Callable[[], float] = random.random) -> None:
        self._random = random
        self._rejected = Backoff(60.0, 3600.0)
        self._limited = Backoff(1.0, 60.0, JITTER)
        self._overloaded = Backoff(1.0, 30.0, JITTER)
        self._disabled_until = 0.0
        self._penalised = False

    def on_failure(self, outcome: Outcome, now: float) -> float:
        """Seconds the key is not to be used after ``outcome``; 0 if it is not the key's."""
        self._penalised = True
        match outcome.kind:
            case Kind.KEY:
                return self._disable(now, self._rejected.fail(now, self._random))
            case Kind.QUOTA:
                return self._disable(now, QUOTA_REST)
            case Kind.LIMITED:
                backoff = self._limited
            case Kind.OVERLOADED:
                backoff = self._overloaded
            case _:
                return 0.0
        if outcome.retry_after is not None and outcome.retry_after > 0:
            return min(outcome.retry_after, LONGEST_WISH)
        return backoff.fail(now, self._random)

    def on_success(self) -> None:
        """The key works: the next penalty is the shortest again."""
        if self._penalised:
            self._penalised = False
            self._rejected.reset()
            self._limited.reset()
            self._overloaded.reset()

    def disabled(self, now: float) -> bool:
        """Whether the key rests because it was rejected or has no money left."""
        return now < self._disabled_until

    @property
    def rejected(self) -> bool:
        """Whether it was, and nothing has shown since that it works: also when it is to be tried again."""
        return self._disabled_until > 0

    def accept(self, began: float) -> bool:
        """An attempt that began then (monotonic seconds) has succeeded: the key is `rejected` no longer,
        unless that was said while the attempt ran. Whether this is news."""
        news = self.rejected and not self.disabled(began)
        if news:
            self._disabled_until = 0.0
        return news

    @property
    def rejections(self) -> int:
        """Times that the key was rejected, one after the other."""
        return self._rejected.episodes

    def disable(self, until: float, rejections: int) -> None:
        """Let the key rest: another process was told why. ``until``: monotonic seconds."""
        self._disabled_until = max(self._disabled_until, until)
        self._rejected.adopt(until, rejections)
        self._penalised = True

    def _disable(self, now: float, seconds: float) -> float:
        self._disabled_until = max(self._disabled_until, now + seconds)
        return seconds
