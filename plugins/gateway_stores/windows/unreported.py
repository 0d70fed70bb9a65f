"""What was used while the store was lost is not forgotten when the process ends: it has an heir."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress

from gateway_stores.windows.leased_meter import LeasedMeter
from gateway_stores.windows.unreported_file import UnreportedFile, Usage

EVERY = 1.0
"""Seconds after which it is kept again: what a process that is killed has used since then is lost."""
REPORTED = 30.0
"""Seconds after which all is reported to a store that is back: the longest that a subject rests, and some."""


class Unreported:
    """Inherits, and keeps what there is to inherit as long as the store is lost and until all is reported."""

    def __init__(
        self,
        file: UnreportedFile,
        clock: Callable[[], float],
        usages: Callable[[], Sequence[Usage]],
        lost: Callable[[], bool],
    ) -> None:
        """``usages``: what this process used that is not counted yet; ``lost``: whether the store is."""
        self._file = file
        self._clock = clock
        self._usages = usages
        self._lost = lost
        self._inherited: defaultdict[str, list[Usage]] = defaultdict(list)
        """By subject, until its meter is made."""
        self._of_others: defaultdict[str, list[Usage]] = defaultdict(list)
        self._keep_until = 0.0
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """See what was left, and begin to keep."""
        for found, by_subject in zip(self._file.find(), (self._inherited, self._of_others), strict=True):
            for usage in found:
                by_subject[usage.subject].append(usage)
        self._keep_until = self._clock() + (REPORTED if self._inherited else 0.0)
        self._task = asyncio.create_task(self._run(), name="unreported usage")

    async def close(self) -> None:
        """Keep what could not be reported to the end."""
        if self._task is None:
            return
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._keep()
        self._file.release()

    def bequeath(self, meter: LeasedMeter) -> bool:
        """Give ``meter`` what is there for it; whether it has something to report now."""
        inherited, of_others = (
            by_subject.pop(meter.subject, []) for by_subject in (self._inherited, self._of_others)
        )
        if inherited or of_others:
            meter.inherit(inherited, of_others)
        return bool(inherited)

    async def _run(self) -> None:
        while True:
            now = self._clock()
            if self._lost():
                self._keep_until = now + REPORTED
            if now < self._keep_until:
                self._keep()
            elif self._keep_until:
                self._keep_until = 0.0
                self._inherited.clear()  # of what no longer has a limit
                self._file.keep([])
            await asyncio.sleep(EVERY)

    def _keep(self) -> None:
        left = [usage for usages in self._inherited.values() for usage in usages]
        self._file.keep([*self._usages(), *left])
