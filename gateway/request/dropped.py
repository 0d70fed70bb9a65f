"""The names of parameters that a translation leaves out, as ``x-coo-dropped-params`` and errors tell them."""

from __future__ import annotations

from collections.abc import Iterable

UNTOLD = "unknown"
"""In place of names that are none, and of those there is no room for."""
_MAX_NAME = 64
_MAX_ALL = 2048
"""Characters, of one name and of all with their commas."""


def told(names: Iterable[str]) -> tuple[str, ...]:
    """Each of ``names`` once, as far as they are fit for a header: a client may have made them up."""
    found: dict[str, None] = {}
    room = _MAX_ALL - len(UNTOLD)
    for name in names:
        name = name if _is_plain(name) else UNTOLD
        if name in found:
            continue
        room -= len(name) + 1
        if room < 0:
            found[UNTOLD] = None
            break
        found[name] = None
    return tuple(found)


def _is_plain(name: str) -> bool:
    """Identifiers with dots between them."""
    return len(name) <= _MAX_NAME and name.isascii() and all(map(str.isidentifier, name.split(".")))
