"""The file store: a machine's windows, usage records and cached answers, in files that outlive processes."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gateway.api import (
    Dimension,
    Filter,
    Record,
    Site,
    StoreUnavailable,
    TooOld,
    Total,
    Trouble,
)
from gateway.api.folders import make_private_folder
from gateway_stores import file_cache, file_ledger, file_link, file_totals
from gateway_stores.file_disk import words
from gateway_stores.file_host import Host
from gateway_stores.file_lane import Lane
from gateway_stores.file_lock import FileLock
from gateway_stores.file_repair import make_ready
from gateway_stores.file_schema import connect
from gateway_stores.windows.leases import LeasedWindows
from gateway_stores.windows.leasing import Leasing


@dataclass(eq=False)
class FileStore(Leasing):
    """Beside ``path`` it keeps ``path.windows`` (windows and shared facts), ``path.cache`` and ``path.lock``.

    A lone process or the supervisor holds the lock and keeps the windows; workers ask it for them, and write
    records themselves.
    """

    path: str = "./data/coo-llm.db"

    def __post_init__(self) -> None:
        self.shared = True
        self.clock: Callable[[], float] = time.monotonic
        """Monotonic seconds; tests put their own here before the first meter is made."""
        self._site = Site()
        self._link = file_link.Link()
        self._lock = FileLock(self.path)
        self._host: Host | None = None
        self._epoch = 0.0

    @cached_property
    def _windows(self) -> LeasedWindows:
        return LeasedWindows(self._link, self.clock, f"the file store at {self.path}")

    async def open(self, site: Site) -> None:
        """As `Store.open`; a damaged database is set aside, and what can be read of it kept."""
        self._site = site
        self._epoch = time.time() - self.clock()
        self._ledger = Lane(self.path, connect, site.failed)
        self._reports = Lane(self.path, connect, site.failed)
        cache, connect_cache = f"{self.path}.cache", file_cache.connect_cache
        self._cache = Lane(cache, connect_cache, site.failed, probe=file_cache.try_writing)
        self._look_ups = Lane(cache, connect_cache, site.failed, probe=file_cache.try_reading)
        self._lanes = (self._ledger, self._reports, self._cache, self._look_ups)
        if site.ask is None:
            if not await asyncio.to_thread(self._claim):
                site.failed("open")
            self._host = Host(f"{self.path}.windows", self._now, site.failed)
        await self._link.open(site, self._host)
        if not site.supervises:
            await self._windows.open(site)

    async def close(self) -> None:
        """Report what was used, finish what was begun, let go."""
        if not self._site.supervises:
            await self._windows.close()
        await self._link.close()
        for lane in self._lanes:
            await lane.close()
        self._lock.release()

    def trouble(self) -> Trouble | None:
        """The first there is; that of the windows goes before all others."""
        troubles = [] if self._site.supervises else [self._windows.trouble()]
        troubles += [lane.trouble for lane in self._lanes]
        troubles.append(self._link.trouble)
        return next((trouble for trouble in troubles if trouble is not None), None)

    def share(self, name: str, value: str, seconds: float) -> None:
        """As `Store.share`; it holds over a restart, too."""
        self._link.share(name, value, seconds)

    async def append(self, records: Sequence[Record]) -> None:
        """All of them, or none where it raises anything but `TooOld`."""
        if old := await self._ledger.run("append", file_ledger.append, records):
            raise TooOld(old)

    async def requests(self, filter: Filter, limit: int, before: str | None = None) -> list[Record]:
        """As `Store.requests`."""
        return await self._reports.run("requests", file_ledger.requests, filter, limit, before)

    async def request(self, id: str) -> Record | None:
        """As `Store.request`."""
        return await self._reports.run("request", file_ledger.request, id)

    async def totals(self, filter: Filter, group_by: Sequence[Dimension]) -> list[Total]:
        """As `Store.totals`."""
        return await self._reports.run("totals", file_totals.totals, filter, group_by)

    async def series(
        self, filter: Filter, step: float, group_by: Sequence[Dimension] = ()
    ) -> list[tuple[float, Total]]:
        """As `Store.series`."""
        return await self._reports.run("series", file_totals.series, filter, step, group_by)

    async def prune(self, requests: float, rollups: float) -> bool:
        """As `Store.prune`; totals go by whole days. Cached answers that have expired go, too."""
        more = await self._ledger.run("prune", file_ledger.prune, requests, rollups)
        if await asyncio.to_thread(os.path.exists, f"{self.path}.cache"):
            with suppress(StoreUnavailable):  # records go on going
                more |= await self._cache.run("prune", file_cache.prune, self._now())
        return more

    async def cache_get(self, key: str) -> bytes | None:
        """As `Store.cache_get`."""
        return await self._look_ups.run("cache_get", file_cache.get, key, self._now())

    async def cache_put(self, key: str, value: bytes, seconds: float) -> None:
        """As `Store.cache_put`."""
        now = self._now()
        bounds = self._site.cache_entries, self._site.cache_bytes
        await self._cache.run(
            "cache_put", file_cache.put, key, value, now, expires=now + seconds, bounds=bounds
        )

    async def answer(self, holder: str, message: bytes) -> bytes:
        """As `Hosting.answer`."""
        assert self._host is not None
        return file_link.answer(self._host, holder, message)

    def lost(self, holder: str) -> None:
        """As `Hosting.lost`."""
        assert self._host is not None
        self._host.lost(holder)

    def _claim(self) -> bool:
        """Be the one daemon that uses these files, and see to it that they can be used; False if the database
        was damaged."""
        try:
            make_private_folder(Path(self.path).parent)
            self._lock.acquire()
            return make_ready(self.path)
        except BlockingIOError:
            raise
        except OSError as error:
            self._lock.release()
            raise OSError(words(self.path, error)) from error

    def _now(self) -> float:
        """Seconds since the epoch, by a clock that never jumps."""
        return self._epoch + self.clock()
