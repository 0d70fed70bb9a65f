"""How many connections each worker has, in memory that all of them see: who is to take the next one."""

from __future__ import annotations

import mmap
import os
from typing import Self

_ABSENT = -1


class Shares:
    """A number for each worker's place, eight bytes that are written at once."""

    def __init__(self, fd: int, workers: int) -> None:
        """``fd``: of the memory."""
        self.fd = fd
        self._counts = memoryview(mmap.mmap(fd, workers * 8)).cast("q")

    @classmethod
    def make(cls, workers: int) -> Self:
        """New memory, in which all places are empty."""
        fd = os.memfd_create("shares")
        os.ftruncate(fd, workers * 8)
        made = cls(fd, workers)
        for number in range(workers):
            made.of(number).leave()
        return made

    def of(self, number: int) -> OwnShare:
        """The place of one worker, as it sees it."""
        return OwnShare(self._counts, number)


class OwnShare:
    """As `gateway.acceptor.Share`."""

    def __init__(self, counts: memoryview[int], number: int) -> None:
        self._counts = counts
        self._number = number

    def tell(self, count: int) -> None:
        """So many connections are open here."""
        self._counts[self._number] = count

    def leave(self) -> None:
        """No more connections are taken here: no other worker is to wait until this one has more."""
        self._counts[self._number] = _ABSENT

    @property
    def ahead(self) -> bool:
        """Whether we have more than the worker with the fewest by over one and an eighth of its number."""
        fewest = self.fewest
        return self._counts[self._number] > fewest + 1 + fewest // 8

    @property
    def fewest(self) -> int:
        """The fewest connections that another worker has; our own number where there is no other."""
        others = [
            count for number, count in enumerate(self._counts) if number != self._number and count != _ABSENT
        ]
        return min(others, default=self._counts[self._number])
