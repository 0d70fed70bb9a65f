"""What someone who mistyped a name probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_CLOSE = 0.7


def nearest(name: str, names: Iterable[str], closeness: float = _CLOSE) -> str | None:
    """The one of ``names`` that ``name`` is probably a misspelling of, if any; ``closeness``: 0 to 1."""
    spelled = {known.lower(): known for known in names}
    matches = get_close_matches(name.lower(), spelled, n=1, cutoff=closeness)
    return spelled[matches[0]] if matches else None


def hint(name: str, names: Iterable[str]) -> str:
    """``; did you mean "…"?``, or all there is to choose from if it is little, or nothing."""
    names = sorted(names)
    if near := nearest(name, names):
        return f'; did you mean "{near}"?'
    return f"; there is: {', '.join(names)}" if 0 < len(names) <= 12 else ""
