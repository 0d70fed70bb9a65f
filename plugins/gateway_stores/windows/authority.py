"""The authority of `gateway_stores.windows.quota` in Python: who used and who holds what of which window.

Pure: it does no I/O and is told the time, in seconds since the epoch that must not jump (the wall clock at
start, plus what a monotonic clock has counted since). Nothing in it is per request but a few additions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Any

from gateway_stores.windows.quota import BUCKETS, LARGEST, Answer, Ask, Use

LINGER = 60.0
"""Seconds for which a holder is remembered after its last lease: no late message of it counts again."""
TURN = 0.5
"""Seconds of waiting after which a slot that becomes free is kept for a holder; who began to wait first comes
first. Before that whoever asks has it: mostly who gave it back, so that it is idle for no moment."""


@dataclass(slots=True)
class _Window:
    """What was used of one window. Bucket ``i`` holds what was used from ``i`` to ``i + 1`` widths."""

    seconds: float
    buckets: dict[int, int] = field(default_factory=dict)

    @property
    def width(self) -> float:
        return self.seconds / BUCKETS

    def leaves(self, index: int) -> float:
        return (index + 1) * self.width + self.seconds

    def slide(self, now: float) -> None:
        buckets = self.buckets
        while buckets and self.leaves(oldest := min(buckets)) <= now:
            del buckets[oldest]

    def count(self, time: float, amount: int) -> None:
        """Count a use, or take one back: what its bucket lacks, the next one has."""
        index = int(time // self.width)
        if amount > 0:
            self.buckets[index] = min(self.buckets.get(index, 0) + amount, LARGEST)
            return
        for place in (index, index + 1):
            back = min(-amount, self.buckets.get(place, 0))
            if back > 0:
                self.buckets[place] -= back
                amount += back

    def change(self, seconds: float, now: float) -> None:
        """Go on with another length: nothing leaves earlier than the longer of the two grids says, unless it
        would have been used later than now."""
        if seconds == self.seconds:
            return
        old, width = self.buckets, self.width
        self.seconds, self.buckets = seconds, {}
        newest = int(now // self.width)
        for index, amount in old.items():
            moved = min(ceil((index + 1) * width / self.width) - 1, newest)
            self.buckets[moved] = self.buckets.get(moved, 0) + amount

    def as_if(self, seconds: float, now: float) -> _Window:
        """A copy that goes on with this length."""
        window = _Window(self.seconds, dict(self.buckets))
        window.change(seconds, now)
        window.slide(now)
        return window

    def leaving(self, now: float) -> list[tuple[float, int]]:
        """All that counts, by its bucket: in how many seconds that leaves, and the amount."""
        return [
            (self.leaves(index) - now, amount) for index, amount in sorted(self.buckets.items()) if amount
        ]

    def whole(self, now: float) -> list[tuple[float, int]]:
        """All that counts, and in how many seconds the last of it leaves."""
        counting = [index for index, amount in self.buckets.items() if amount]
        return [(self.leaves(max(counting)) - now, sum(self.buckets.values()))] if counting else []


@dataclass(slots=True)
class _Holder:
    """One process, as far as one subject is concerned."""

    number: int = 0
    acknowledged: int = 0
    until: float = 0.0
    """When what it holds can no longer be used."""
    held: dict[str, int] = field(default_factory=dict)
    waits_since: float = inf
    """When a slot was refused to it first since it was granted one."""
    waits_until: float = 0.0
    """By then it will have asked for one again, unless it has given up."""

    def wait(self, again: float, now: float) -> None:
        """It was refused a slot, and will ask once more within ``again`` seconds; 0: it waits no longer."""
        self.waits_since = min(self.waits_since, now) if again > 0 else inf
        self.waits_until = now + again

    def precedes(self, asking: _Holder, now: float) -> bool:
        """Whether it is to have a slot before ``asking``."""
        return self.waits_since + TURN <= now < self.waits_until and self.waits_since < asking.waits_since

    def holds(self, kind: str, seconds: float, now: float) -> int:
        """What has to be counted of it: what it held to the end may have been used until then."""
        return self.held.get(kind, 0) if now < self.until + seconds else 0


@dataclass(slots=True)
class _Subject:
    windows: dict[str, _Window] = field(default_factory=dict)
    holders: dict[str, _Holder] = field(default_factory=dict)

    def used(self, kind: str) -> int:
        window = self.windows.get(kind)
        return sum(window.buckets.values()) if window is not None else 0

    def slide(self, now: float) -> None:
        """Forget what counts no longer; a second time changes nothing."""
        for name, holder in list(self.holders.items()):
            seconds = (self.windows[kind].seconds for kind in holder.held if kind in self.windows)
            if holder.until + max(LINGER, *seconds, 0.0) <= now:
                del self.holders[name]
        for kind, window in list(self.windows.items()):
            window.slide(now)
            if not window.buckets and not any(kind in holder.held for holder in self.holders.values()):
                del self.windows[kind]


class WindowAuthority:
    """Knows what was used and is held of all subjects; `quota.py` says what the messages mean."""

    def __init__(self) -> None:
        self._subjects: dict[str, _Subject] = {}

    def exchange(self, asks: Sequence[Ask], now: float) -> list[Answer]:
        """One answer for each ask, in order."""
        return [self._answer(ask, now) for ask in asks]

    def lost(self, holder: str, now: float) -> list[str]:
        """A holder has ended: its slots are free, what else it held counts as used now. The subjects that
        this changed."""
        changed = []
        for name, subject in self._subjects.items():
            ended = subject.holders.pop(holder, None)
            if ended is None:
                continue
            changed.append(name)
            for kind, amount in ended.held.items():
                window = subject.windows.get(kind)
                if window is not None and now < ended.until + window.seconds:
                    window.count(min(now, ended.until), amount)
        return changed

    def sweep(self, subjects: Iterable[str], now: float) -> list[str]:
        """Forget those of ``subjects`` of which nothing counts any longer; their names. For once a minute or
        so, and where there are many, for some of them at a time."""
        idle = []
        for name in subjects:
            subject = self._subjects.get(name)
            if subject is None:
                continue
            subject.slide(now)
            if not subject.holders and not any(window.buckets for window in subject.windows.values()):
                del self._subjects[name]
                idle.append(name)
        return idle

    def state_of(self, subject: str) -> dict[str, Any] | None:
        """What is known of a subject as plain JSON values; None if nothing is."""
        known = self._subjects.get(subject)
        if known is None:
            return None
        return {
            "windows": {
                kind: [window.seconds, [list(one) for one in window.buckets.items()]]
                for kind, window in known.windows.items()
            },
            "holders": {
                name: [holder.number, holder.acknowledged, holder.until, dict(holder.held)]
                for name, holder in known.holders.items()
            },
        }

    def subjects(self) -> list[str]:
        """Of whom anything is known."""
        return list(self._subjects)

    def dump(self) -> dict[str, Any]:
        """All there is to know, by subject."""
        return {subject: self.state_of(subject) for subject in self._subjects}

    def load(self, states: Mapping[str, Any], now: float) -> None:
        """Go on with what `dump` gave, or any number of `state_of`. A clock that went back meanwhile makes
        nothing count for longer. Raises `KeyError`, `TypeError` or `ValueError` for anything else."""
        for name, state in states.items():
            subject = _Subject()
            for kind, (seconds, buckets) in state["windows"].items():
                window = subject.windows[kind] = _Window(float(seconds))
                newest = int(now // window.width)
                for index, amount in buckets:
                    place = min(int(index), newest)
                    window.buckets[place] = window.buckets.get(place, 0) + int(amount)
            for holder, (number, acknowledged, until, held) in state["holders"].items():
                until = min(float(until), now + LINGER)
                subject.holders[holder] = _Holder(int(number), int(acknowledged), until, dict(held))
            self._subjects[name] = subject

    def _seen(self, ask: Ask, now: float) -> Answer:
        """The answer to one who only looks, as if windows had the lengths that are asked for."""
        subject = self._subjects.get(ask.subject, _Subject())
        subject.slide(now)
        rest = [other for name, other in subject.holders.items() if name != ask.holder]
        buckets = {}
        for kind, span in ask.spans.items():
            if span.seconds:
                window = subject.windows.get(kind, _Window(span.seconds)).as_if(span.seconds, now)
                buckets[kind] = _burying(window, kind, rest, now).whole(now)
        return Answer(buckets=buckets, others=_living(ask, rest, now, {}), holders=_lately(subject, now))

    def _answer(self, ask: Ask, now: float) -> Answer:
        if not ask.number:
            return self._seen(ask, now)
        subject = self._subjects.setdefault(ask.subject, _Subject())
        subject.slide(now)
        holder = subject.holders.setdefault(ask.holder, _Holder())
        if ask.number <= holder.number:
            return Answer(stale=True)
        for kind, span in ask.spans.items():
            if span.seconds:
                subject.windows.setdefault(kind, _Window(span.seconds)).change(span.seconds, now)
        holder.number = ask.number
        _count(subject, holder, ask.uses, now)
        holder.held = {kind: amount for kind, amount in ask.held.items() if amount > 0}
        holder.until = now + ask.ttl
        rest = [other for other in subject.holders.values() if other is not holder]
        kept = dict.fromkeys(_levels(ask), sum(other.precedes(holder, now) for other in rest))
        free = {
            kind: span.limit
            - subject.used(kind)
            - sum(other.holds(kind, span.seconds, now) for other in rest)
            - kept.get(kind, 0)
            - holder.held.get(kind, 0)
            for kind, span in ask.spans.items()
        }
        granted = _granted(ask, free)
        if ask.need:  # who only reports may still have somebody who waits
            lacks = any(ask.need.get(kind, 0) > free[kind] for kind in kept)
            holder.wait(ask.again if lacks else 0.0, now)
        for kind, amount in granted.items():
            holder.held[kind] = holder.held.get(kind, 0) + amount
        return Answer(
            acknowledged=holder.acknowledged,
            granted=granted,
            buckets={
                kind: _burying(subject.windows[kind], kind, rest, now).leaving(now)
                for kind in ask.spans
                if kind in subject.windows
            },
            others=_living(ask, rest, now, kept),
            holders=_lately(subject, now),
        )


def _levels(ask: Ask) -> list[str]:
    """The kinds of which nothing is used up: what one waits for others to give back."""
    return [kind for kind, span in ask.spans.items() if not span.seconds]


def _living(ask: Ask, rest: Iterable[_Holder], now: float, kept: Mapping[str, int]) -> dict[str, int]:
    """By kind, what those hold whose time is not over, and what is ``kept`` for them."""
    living = [other.held for other in rest if now < other.until]
    return {kind: sum(held.get(kind, 0) for held in living) + kept.get(kind, 0) for kind in ask.spans}


def _burying(window: _Window, kind: str, rest: Iterable[_Holder], now: float) -> _Window:
    """``window``, and what those held whose time is over as used: it will not come back. That is in a copy,
    for who was only held up will tell what it used of it."""
    dead = [other for other in rest if other.until <= now]
    if not dead:
        return window
    copy = _Window(window.seconds, dict(window.buckets))
    for other in dead:
        copy.count(other.until, other.holds(kind, window.seconds, now))
    return copy


def _lately(subject: _Subject, now: float) -> int:
    """As many hold something of it, or did lately."""
    return sum(now < holder.until + LINGER for holder in subject.holders.values())


def _count(subject: _Subject, holder: _Holder, uses: Iterable[Use], now: float) -> None:
    """Count the uses that are new."""
    for use in uses:
        if use.number > holder.acknowledged:
            holder.acknowledged = use.number
            window = subject.windows.get(use.kind)
            if window is not None:
                window.count(now - max(use.age, 0.0), use.amount)
    for window in subject.windows.values():
        window.slide(now)


def _granted(ask: Ask, free: Mapping[str, int]) -> dict[str, int]:
    """All that is needed, and of what is free then up to a quarter; or nothing."""
    if any(amount > free.get(kind, 0) for kind, amount in ask.need.items()):
        return {}
    granted = {}
    for kind, room in free.items():
        need = ask.need.get(kind, 0)
        extra = min(ask.want.get(kind, 0), (room - need) // 4)
        if need + max(extra, 0) > 0:
            granted[kind] = need + max(extra, 0)
    return granted
