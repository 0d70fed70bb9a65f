"""The Redis store: windows, usage records, cached answers and facts shared by any number of gateways."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

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
from gateway_stores.fact_exchange import FactExchange
from gateway_stores.redis_address import parse_address
from gateway_stores.redis_authority import RedisAuthority
from gateway_stores.redis_cache import RedisCache
from gateway_stores.redis_facts import RedisFacts
from gateway_stores.redis_ledger import RedisLedger
from gateway_stores.redis_link import Link
from gateway_stores.windows.leases import LeasedWindows
from gateway_stores.windows.leasing import Leasing

T = TypeVar("T")


@dataclass(eq=False)
class RedisStore(Leasing):
    """For any number of gateways that are to share everything. The settings:"""

    addr: str = field(repr=False)
    """``host:6379`` or a URL (see `redis_address.py`), which may hold user, password and database."""
    password: str | None = field(default=None, repr=False)
    database: int = 0
    timeout: float = 5.0
    """Seconds for one exchange with Redis. Nobody waits so long for windows or cached answers."""
    prefix: str = "coo-llm"
    """What the names of all keys begin with."""

    def __post_init__(self) -> None:
        self.shared = True
        self._address = parse_address(self.addr, self.password, self.database)
        self._link = Link(self._address, self.timeout, self.prefix)
        self._site = Site()
        self._refuses: Trouble | None = None
        """Why it took no records last; None if it did."""
        self._ledger = RedisLedger(self._link, f"{{{self.prefix}:ledger}}")
        facts = RedisFacts(self._link, f"{{{self.prefix}:facts}}")
        self._facts = FactExchange(facts, lambda: self._windows.doubt())
        self.run_by(None)

    def run_by(self, clock: Callable[[], float] | None) -> None:
        """Take the time from ``clock`` in place of Redis; for tests, before the first meter is made."""
        self._cache = RedisCache(self._link, f"{{{self.prefix}:cache}}", clock)
        authority = RedisAuthority(self._link, self.prefix, clock)
        name = f"redis at {self._address}"
        self._windows = LeasedWindows(authority, clock or time.monotonic, name, self._facts.census)

    async def open(self, site: Site) -> None:
        """Hear what others have shared. A Redis that does not answer is trouble, not an error."""
        self._site = site
        await self._facts.open(site)
        await self._windows.open(site)

    async def close(self) -> None:
        """Give back what is held; close the connections."""
        await self._windows.close()
        await self._facts.close()
        await self._link.close()

    def trouble(self) -> Trouble | None:
        """What is wrong with Redis or the way there."""
        return self._windows.trouble(self._facts.trouble) or self._refuses

    def share(self, name: str, value: str, seconds: float) -> None:
        """Tell all other processes, within a quarter of a second."""
        self._facts.share(name, value, seconds)

    async def append(self, records: Sequence[Record]) -> None:
        """Keep and count the records that are new."""
        try:
            await self._counted("append", self._ledger.append(records))
        except StoreUnavailable as error:
            self._refuses = Trouble(str(error), self._refuses.since if self._refuses else time.time())
            raise
        except TooOld:
            self._refuses = None
            raise
        self._refuses = None

    async def requests(self, filter: Filter, limit: int, before: str | None = None) -> list[Record]:
        """The newest records that match, newest first."""
        return await self._counted("requests", self._ledger.requests(filter, limit, before))

    async def request(self, id: str) -> Record | None:
        """The record with this id, or else the newest with this request id."""
        return await self._counted("request", self._ledger.request(id))

    async def totals(self, filter: Filter, group_by: Sequence[Dimension]) -> list[Total]:
        """One total for each combination of the dimensions' values."""
        return await self._counted("totals", self._ledger.totals(filter, group_by))

    async def series(
        self, filter: Filter, step: float, group_by: Sequence[Dimension] = ()
    ) -> list[tuple[float, Total]]:
        """Totals of each ``step`` seconds from the filter's start on."""
        return await self._counted("series", self._ledger.series(filter, step, group_by))

    async def prune(self, requests: float, rollups: float) -> bool:
        """Forget some of what is too old; sums go by whole days."""
        return await self._counted("prune", self._ledger.prune(requests, rollups))

    async def cache_get(self, key: str) -> bytes | None:
        """A cached answer that has not expired."""
        return await self._counted("cache_get", self._cache.get(key))

    async def cache_put(self, key: str, value: bytes, seconds: float) -> None:
        """Keep an answer; the oldest go where there are too many or they are too large together."""
        await self._counted("cache_put", self._cache.put(key, value, seconds, self._site))

    async def _counted(self, operation: str, work: Coroutine[Any, Any, T]) -> T:
        try:
            return await work
        except StoreUnavailable:
            self._site.failed(operation)
            raise
