"""State by name where clients choose the names: the least recently used goes when there is too much."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Bounded(Generic[T]):
    """Makes what is asked for and missing; keeps the ``most`` that were asked for last."""

    __slots__ = ("_items", "_make", "_most")

    def __init__(self, make: Callable[[], T], most: int = 1024) -> None:
        self._make = make
        self._most = most
        self._items: OrderedDict[str, T] = OrderedDict()

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, name: str) -> T:
        item = self._items.get(name)
        if item is None:
            item = self._items[name] = self._make()
            if len(self._items) > self._most:
                self._items.popitem(last=False)
        else:
            self._items.move_to_end(name)
        return item

    def get(self, name: str) -> T | None:
        """What there is under ``name``, without making or touching it."""
        return self._items.get(name)
