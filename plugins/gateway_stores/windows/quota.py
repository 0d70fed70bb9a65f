"""How processes share windows: each holds a little quota of every subject in use, and exchanges it for more.

An `Authority` (in the supervisor, in Redis, behind HTTP) knows for each subject what was used when, and what
each holder holds. A holder takes from what it holds without asking, reports what it used, and gives back what
it does not need. What is held counts as used, so the limits hold whatever happens to a message or a process.

A *level* is a window of 0 seconds (parallel slots): nothing is ever used up, only held.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from gateway.api.ledger import LARGEST_SUM

BUCKETS = 60
"""A window of S seconds is kept in buckets of S / BUCKETS; a bucket counts until its newest possible use is
S seconds old, so uses count for at most one bucket longer than they must."""
LARGEST = 2**57
"""What a bucket holds at most: the sum of a window, and each change of it, is to fit into 64 bits."""


class Span(NamedTuple):
    """A window's size, as the asking process is configured."""

    limit: int
    seconds: float


class Use(NamedTuple):
    """Something used that was not reported yet. Numbered, for a report may arrive twice."""

    number: int
    """Grows with each use of this holder and subject."""
    kind: str
    age: float
    """Seconds before the ask was sent."""
    amount: int
    """Negative: so much of what was reported with about this age was not used after all."""


@dataclass(slots=True)
class Ask:
    """One holder's report and wishes about one subject."""

    subject: str
    holder: str
    number: int
    """Grows with each ask of this holder and subject; one that comes late changes nothing. 0: only to look.
    Then all but ``spans`` is empty, nothing is counted, held or granted; the answer is how things stand."""
    spans: Mapping[str, Span]
    held: Mapping[str, int]
    """Quota that the holder keeps, by kind. Whatever else it held it gives back, or has used and reports."""
    need: Mapping[str, int]
    """What must be granted, all or nothing, to be of use. Empty: nothing is waited for."""
    want: Mapping[str, int]
    """What more would be welcome. Granted at most up to a quarter of what is then free."""
    uses: Sequence[Use] = ()
    """All uses that no answer has acknowledged."""
    ttl: float = 4.0
    """Seconds from now for which the holder may use what it holds."""
    again: float = 0.0
    """If what is needed is not granted, the holder asks again within so many seconds: a slot that becomes
    free meanwhile is kept for it when it is its turn. 0: nobody goes on waiting."""


@dataclass(slots=True)
class Answer:
    """What the authority says to an `Ask`."""

    stale: bool = False
    """A later ask was answered already: this one changed nothing and the rest is empty."""
    acknowledged: int = 0
    """The number of the last use that is counted."""
    granted: Mapping[str, int] = field(default_factory=dict)
    """By kind: `Ask.need` and some of ``want``, or nothing. Usable until ``ttl`` seconds after the ask."""
    buckets: Mapping[str, Sequence[tuple[float, int]]] = field(default_factory=dict)
    """By kind: (seconds until it leaves the window, amount), the one to leave first first; the holder's own
    reported uses are among them. To one who only looks all may be told as one, which leaves with the last."""
    others: Mapping[str, int] = field(default_factory=dict)
    """By kind: what other holders hold, and slots that are kept for them. What those held whose time is over
    is in ``buckets``."""
    holders: int = 1
    """Processes that hold or lately held something of this subject, the asking one included."""


class Authority(Protocol):
    """Whoever knows what all processes together used of each window, and decides who may hold how much."""

    async def exchange(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        """One answer for each ask, each about its subject alone; safe to be called again with the same asks.
        Raises `StoreUnavailable`, also where it is not known whether they were heard. Takes as long as it
        takes: who calls it gives up, and knows whether the process stood still itself."""


def ask_to_json(ask: Ask) -> dict[str, Any]:
    """An ask as plain JSON values."""
    return {
        "subject": ask.subject,
        "holder": ask.holder,
        "number": ask.number,
        "spans": {kind: [span.limit, span.seconds] for kind, span in ask.spans.items()},
        "held": dict(ask.held),
        "need": dict(ask.need),
        "want": dict(ask.want),
        "uses": [list(use) for use in ask.uses],
        "ttl": ask.ttl,
        "again": ask.again,
    }


def ask_from_json(values: Mapping[str, Any]) -> Ask:
    """The ask of these values. Raises `KeyError`, `TypeError` or `ValueError` if they are none."""
    spans = {kind: Span(int(limit), float(seconds)) for kind, (limit, seconds) in values["spans"].items()}
    uses = [Use(int(n), str(kind), float(age), int(amount)) for n, kind, age, amount in values["uses"]]
    return Ask(**{**values, "spans": spans, "uses": uses})


def answer_to_json(answer: Answer) -> dict[str, Any]:
    """An answer as plain JSON values."""
    return {
        "stale": answer.stale,
        "acknowledged": answer.acknowledged,
        "granted": dict(answer.granted),
        "buckets": {kind: [list(one) for one in buckets] for kind, buckets in answer.buckets.items()},
        "others": dict(answer.others),
        "holders": answer.holders,
    }


def answer_from_json(values: Mapping[str, Any]) -> Answer:
    """The answer of these values. Raises `AttributeError`, `KeyError`, `TypeError` or `ValueError` if they
    are none."""
    buckets = {
        kind: [(float(leaves), min(_figure(amount), LARGEST)) for leaves, amount in found]
        for kind, found in values["buckets"].items()
    }
    return Answer(
        stale=bool(values.get("stale", False)),
        acknowledged=_figure(values.get("acknowledged", 0)),
        granted=_amounts(values.get("granted", {})),
        buckets=buckets,
        others=_amounts(values.get("others", {})),
        holders=_figure(values.get("holders", 1)),
    )


def _amounts(values: Mapping[str, Any]) -> dict[str, int]:
    return {kind: _figure(amount) for kind, amount in values.items()}


def _figure(value: Any) -> int:
    """Raises `ValueError` for what is absurd; as JSON it could not even be given back."""
    figure = int(value)
    if abs(figure) > LARGEST_SUM:
        raise ValueError(f"{figure} is no amount")
    return figure
