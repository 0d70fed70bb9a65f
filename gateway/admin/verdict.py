"""What is found of a candidate, and why the first that can be asked is the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.catalog import Target

_TURNS = "round_robin"


@dataclass(slots=True)
class Verdict:
    """What is found of one candidate."""

    target: Target
    fallback: bool
    reasons: list[str] = field(default_factory=list)
    """Why it cannot be asked; empty if it can."""
    held_back: bool = False
    """Its circuit has just closed: others come first for a while."""
    score: float | None = None
    terms: dict[str, float] = field(default_factory=dict)


def why(usable: Sequence[Verdict], algorithm: str) -> str:
    """Why the first of those that can be asked would be, in a sentence or two."""
    first, *others = usable
    if not others:
        return "The only one that can be asked."
    if algorithm == _TURNS:
        return f"The first of {len(usable)} that can be asked, in the order of {algorithm}."
    equals = [verdict for verdict in others if verdict.score == first.score]
    if equals:
        return f"One of {len(equals) + 1} that {algorithm} puts first alike: they take turns."
    order = f"The first of {len(usable)} that can be asked, in the order of {algorithm}."
    return f"{order} {_ahead(first, others[0])}"


def _ahead(first: Verdict, second: Verdict) -> str:
    """What puts it before the second."""
    name = f"{second.target.provider}/{second.target.key}"
    assert first.score is not None
    assert second.score is not None
    if second.fallback and not first.fallback:
        return f"Next would be {name}, of another provider that stands in."
    if second.score < first.score:
        cause = "its circuit has just closed" if second.held_back else "it allows fewer tokens than asked for"
        return f"The next, {name}, scores {second.score:.3f} against {first.score:.3f}, but {cause}."
    term = max(first.terms, key=lambda one: second.terms[one] - first.terms[one])
    return (
        f"It scores {first.score:.3f} and the next, {name}, {second.score:.3f}; most of that is {term}: "
        f"{first.terms[term]:.3f} against {second.terms[term]:.3f}."
    )
