"""The HTTP store: a service of the operator's own keeps windows, records, cached answers and the overlay.

What such a service must offer is described in ``docs/http-store.yaml`` (OpenAPI).
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
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
from gateway.api.ledger import LATENCY_BOUNDS, SUMS
from gateway_stores.fact_exchange import FactExchange
from gateway_stores.http_authority import HttpAuthority
from gateway_stores.http_client import MAX_PAGE, UNFIT, HttpClient, Missing
from gateway_stores.http_facts import HttpFacts
from gateway_stores.windows.leases import LeasedWindows
from gateway_stores.windows.leasing import Leasing

T = TypeVar("T")

CACHE_SECONDS = 0.25
"""Seconds that a call for cached answers takes at most."""
COUNT_SECONDS = 0.25
"""Seconds that a call for the usage counters takes at most."""
COUNTERS = 16
"""As many usage counters are added to at once: records wait for them."""


@dataclass(eq=False)
class HttpStore(Leasing):
    """Talks to ``addr`` with the bearer key ``api_key``; a call may take ``timeout`` seconds."""

    addr: str = field(repr=False)
    api_key: str | None = field(default=None, repr=False)
    timeout: float = 5.0

    def __post_init__(self) -> None:
        self.shared = True
        self.clock: Callable[[], float] = time.monotonic
        """Monotonic seconds; tests put their own here before the first meter is made."""
        self._client = HttpClient(self.addr, self.api_key, self.timeout)
        self._site = Site()
        self._facts = FactExchange(HttpFacts(self._client), lambda: self._windows.doubt())
        self._refuses: Trouble | None = None
        """Why it took no records last; None if it did."""

    async def open(self, site: Site) -> None:
        """Begin to talk; a server that does not answer is trouble, not an error."""
        self._site = site
        await self._windows.open(site)
        await self._facts.open(site)

    async def close(self) -> None:
        """Give back what is held, and hang up."""
        await self._facts.close()
        await self._windows.close()
        await self._client.close()

    def trouble(self) -> Trouble | None:
        """What is wrong with the windows or the facts, or why records are not taken. All else heals with the
        next call, which may never come: it is counted alone."""
        return self._windows.trouble(self._facts.trouble) or self._refuses

    @cached_property
    def _windows(self) -> LeasedWindows:
        authority = HttpAuthority(self._client)
        return LeasedWindows(authority, self.clock, self._client.name, self._facts.census)

    def share(self, name: str, value: str, seconds: float) -> None:
        """Tell the others with the next poll."""
        self._facts.share(name, value, seconds)

    async def append(self, records: Sequence[Record]) -> None:
        """Send records; count those that were new in the usage counters, if the server lets us."""
        body = {"records": [record.to_json() for record in records]}

        def read(answer: Any) -> tuple[set[str], set[str]]:
            return set(answer["added"]), set(answer.get("too_old", ()))

        try:
            added, too_old = await self._post("append", ("records",), body, read)
        except StoreUnavailable as error:
            self._refuses = Trouble(str(error), self._refuses.since if self._refuses else time.time())
            raise
        self._refuses = None
        await self._count([record for record in records if record.id in added])
        if too_old:
            raise TooOld([record for record in records if record.id in too_old])

    async def _count(self, records: Sequence[Record]) -> None:
        """Counters for whoever reads the server directly; our own totals come from the records. Once one
        cannot be counted no other is begun, nor is any tried again: further records wait for this."""
        sums: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        for record in records:
            if record.provider is not None and record.key is not None:
                subject = record.provider, record.key
                sums[*subject, "requests"] += 1
                sums[*subject, "input_tokens"] += record.input_tokens
                sums[*subject, "output_tokens"] += record.output_tokens
                sums[*subject, "cost_nano_usd"] += record.cost_nano_usd or 0
        due = [(("usage", *path, "inc"), delta) for path, delta in sums.items() if delta]

        async def one_by_one() -> None:
            while due:
                path, delta = due.pop()
                try:
                    await self._post("usage", path, {"delta": delta}, _anything, timeout=COUNT_SECONDS)
                except StoreUnavailable:
                    due.clear()

        async with asyncio.TaskGroup() as group:
            for _ in range(min(len(due), COUNTERS)):
                group.create_task(one_by_one())

    async def requests(self, filter: Filter, limit: int, before: str | None = None) -> list[Record]:
        """The newest records that match, newest first."""
        body = {"filter": asdict(filter), "limit": limit, "before": before}

        def read(answer: Any) -> list[Record]:
            return [Record.from_json(values) for values in answer["records"]]

        return await self._post("requests", ("records", "query"), body, read)

    async def request(self, id: str) -> Record | None:
        """The record with this id, or else the newest with this request id."""
        return await self._call("request", ("records", id), Record.from_json)

    async def totals(self, filter: Filter, group_by: Sequence[Dimension]) -> list[Total]:
        """One total for each combination of the dimensions' values."""
        body = {"filter": asdict(filter), "group_by": list(group_by)}

        def read(answer: Any) -> list[Total]:
            return [_total(values, group_by) for values in answer["totals"]]

        return await self._post("totals", ("records", "totals"), body, read)

    async def series(
        self, filter: Filter, step: float, group_by: Sequence[Dimension] = ()
    ) -> list[tuple[float, Total]]:
        """Totals of each ``step`` seconds."""
        body = {"filter": asdict(filter), "step": step, "group_by": list(group_by)}

        def read(answer: Any) -> list[tuple[float, Total]]:
            return [(float(begins), _total(values, group_by)) for begins, values in answer["points"]]

        return await self._post("series", ("records", "series"), body, read)

    async def prune(self, requests: float, rollups: float) -> bool:
        """Let the server forget some of what is too old."""
        body = {"requests": requests, "rollups": rollups}
        return await self._post("prune", ("records", "prune"), body, lambda answer: bool(answer["more"]))

    async def cache_get(self, key: str) -> bytes | None:
        """A cached answer that has not expired."""

        def read(answer: Any) -> bytes:
            return base64.b64decode(answer["value"], validate=True)

        return await self._call("cache_get", ("cache", key), read, timeout=CACHE_SECONDS)

    async def cache_put(self, key: str, value: bytes, seconds: float) -> None:
        """Keep an answer for ``seconds``; how many are kept is the server's affair."""
        body = {"value": base64.b64encode(value).decode(), "ttl_seconds": seconds}
        await self._post("cache_put", ("cache", key), body, _anything, timeout=CACHE_SECONDS)

    async def _post(
        self,
        operation: str,
        path: tuple[str, ...],
        body: Any,
        read: Callable[[Any], T],
        *,
        timeout: float | None = None,
    ) -> T:
        """What ``read`` makes of the answer to a POST; a call the server does not know is trouble."""
        answer = await self._call(operation, path, lambda found: (read(found),), body, timeout=timeout)
        if answer is None:
            raise self._failed(operation, self._client.unavailable(path, "does not know this call"))
        return answer[0]

    async def _call(
        self,
        operation: str,
        path: tuple[str, ...],
        read: Callable[[Any], T],
        body: Any = None,
        *,
        timeout: float | None = None,
    ) -> T | None:
        """What ``read`` makes of an answer, None if there is nothing at ``path``. A POST if there is a
        ``body``. Raises `StoreUnavailable`, and counts it."""
        try:
            return read(await self._client.call(path, body, timeout=timeout, max_bytes=MAX_PAGE))
        except Missing:
            return None
        except StoreUnavailable as error:
            raise self._failed(operation, error) from None
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            wrong = self._client.unavailable(path, UNFIT)
            raise self._failed(operation, wrong) from None

    def _failed(self, operation: str, error: StoreUnavailable) -> StoreUnavailable:
        self._site.failed(operation)
        return error


def _anything(answer: Any) -> None:
    """Of an answer that says nothing."""


def _total(values: dict[str, Any], group_by: Sequence[Dimension]) -> Total:
    """Raises `KeyError` or `ValueError` for what is no total of these dimensions."""
    group, latencies = values["group"], values["latencies"]
    sums = {name: values[name] for name in SUMS}
    if type(group) is not list or [type(name) for name in group] != [str] * len(group_by):
        raise ValueError("a total is not of the group that was asked for")
    if len(latencies) != len(LATENCY_BOUNDS) + 1:
        raise ValueError("latencies are not counted in the classes that are asked for")
    if not all(type(figure) is int for figure in (*sums.values(), *latencies)):
        raise ValueError("a figure is not a whole number")
    return Total(tuple(group), **sums, latencies=latencies)
