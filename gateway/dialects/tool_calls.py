"""Which tool call a piece in a chat's stream belongs to, also where servers do not number them well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Calls:
    """Numbers the calls of one choice in the order in which they begin.

    A piece belongs to the last call of its ``index``. Some servers give all calls the same one, though: an
    id of its own together with a name begins a call. Others make up an id for every piece, but only the
    first has a name. Where there is no ``index``, ids tell calls apart, or names do.
    """

    __slots__ = ("_places", "count")

    def __init__(self) -> None:
        self.count = 0
        """Calls so far."""
        self._places: dict[tuple[object, object], int] = {}  # by index and id; without an id: the last one

    def place(self, piece: Mapping[str, Any]) -> int:
        """The number of the call, from 0, that ``piece`` is of: the `count` until now if it begins one."""
        index, ident = piece.get("index"), piece.get("id") or None
        named = bool((piece.get("function") or piece.get("custom") or {}).get("name"))
        place = self._places.get((index, ident))
        if place is None and not named:
            place = self._places.get((index, None))
        if place is None or (named and index is None and ident is None):
            place = self._places[index, ident] = self.count
            self.count += 1
        self._places[index, None] = self._places[None, None] = place
        return place
