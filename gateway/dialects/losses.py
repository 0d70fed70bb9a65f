"""What is lost inside of a request's parameters: the fields that a translation does not know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_NOTHING: tuple[object, ...] = (None, False, "", [], {})
_LONGEST = 40


def lost(holder: Mapping[str, Any], known: frozenset[str], where: str) -> Iterable[str]:
    """The fields of ``holder`` beside those that are ``known``, as they are named to the client: ``where`` is
    the parameter it is in, and stands alone for a name that is none. Empty values are no loss."""
    if holder.keys() <= known:
        return ()
    return [
        f"{where}.{name}" if is_plain(name, _LONGEST) else where
        for name, value in holder.items()
        if name not in known and value not in _NOTHING
    ]


def is_plain(name: str, longest: int) -> bool:
    """Whether a name may stand in a header."""
    return len(name) <= longest and name.isascii() and name.isidentifier()
