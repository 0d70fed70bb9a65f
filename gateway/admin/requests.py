"""Recent usage records: a list with pages, one of them, and all as they come."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import replace

import orjson
from aiohttp import web

from gateway.admin.errors import AdminError, answer
from gateway.admin.ledger import NAMES, RANGE, ask, by_names, read_range, record_json
from gateway.admin.query import Query
from gateway.admin.state import ADMIN, CALLER
from gateway.api import Filter, Record, StoreUnavailable
from gateway.keys import LIVE
from gateway.request.errors import quoted

MAX_LIMIT = 1000
MAX_STREAMS = 16
"""Live streams of one process."""
_CHOSEN_BY = (*NAMES, "status", "error", "slower_than_ms", "dearer_than_usd")
_POLL = 1.0
_AT_ONCE = 500
"""Records that a stream looks at with each poll: all that are new, unless there are more."""
_LONGEST = 3600.0
"""Seconds that a request may have taken which a stream still shows: its id is of its admission."""
_REMEMBERED = 10 * _AT_ONCE
_KEEPALIVE = 15.0
_SLOW_READER = 10.0
"""Seconds in which a stream's client must have taken what was sent to it."""


async def get_requests(request: web.Request) -> web.Response:
    """The newest records, newest first, and what to give as ``before`` for the next page."""
    query = Query(request, "limit", "before", *RANGE, *_CHOSEN_BY)
    limit, before = query.whole("limit", 1, MAX_LIMIT) or 100, query.text("before")
    wanted = _chosen(query, read_range(query))
    records = await ask(request, lambda: request.app[LIVE].store.requests(wanted, limit, before))
    return answer(
        {
            "requests": [record_json(record) for record in records],
            "next": records[-1].id if len(records) == limit else None,
        }
    )


async def get_request(request: web.Request) -> web.Response:
    """One record with its attempts, by its id or its request id."""
    id = request.match_info["id"]
    record = await ask(request, lambda: request.app[LIVE].store.request(id))
    if record is None:
        raise AdminError(404, f"There is no request {quoted(id)}, or no longer.")
    return answer(record_json(record))


async def stream_requests(request: web.Request) -> web.StreamResponse:
    """The records of all processes as they come, by server-sent events: ``event: request`` with a record,
    ``event: gap`` where there were more than can be shown."""
    query = Query(request, *_CHOSEN_BY)
    stream = _Stream(request, _chosen(query, Filter()))
    state = request.app[ADMIN]
    if state.streams >= MAX_STREAMS:
        raise AdminError(503, f"{MAX_STREAMS} live streams are open already.", headers={"retry-after": "10"})
    state.streams += 1
    try:
        return await stream.run()
    finally:
        state.streams -= 1


class _Stream:
    """One live stream. It asks the store again and again, as that knows what every process has served."""

    def __init__(self, request: web.Request, wanted: Filter) -> None:
        self._request = request
        self._wanted = wanted
        self._known: OrderedDict[str, None] = OrderedDict()
        self._response = web.StreamResponse(
            headers={"content-type": "text/event-stream", "cache-control": "no-store"}
        )

    async def run(self) -> web.StreamResponse:
        """Until the client goes, is too slow, or may no longer look."""
        await self._news()  # what there is already is no news; an error is still an answer
        await self._response.prepare(self._request)
        silent = 0.0
        try:
            await self._send(b": live\n\n")
            while self._welcome():
                await asyncio.sleep(_POLL)
                data = await self._events()
                silent = 0.0 if data else silent + _POLL
                if silent >= _KEEPALIVE:
                    data, silent = b": \n\n", 0.0
                if data:
                    await self._send(data)
        except (TimeoutError, ConnectionError):
            if self._request.transport is not None:
                self._request.transport.abort()
        return self._response

    def _welcome(self) -> bool:
        app = self._request.app
        session = self._request[CALLER].session
        return not app[LIVE].draining and (session is None or app[ADMIN].sessions.lasts(session))

    async def _send(self, data: bytes) -> None:
        async with asyncio.timeout(_SLOW_READER):
            await self._response.write(data)

    async def _events(self) -> bytes:
        try:
            news = await self._news()
        except (StoreUnavailable, AdminError):
            return b": the store cannot be reached\n\n"
        gap = b"event: gap\ndata: {}\n\n" if len(news) == _AT_ONCE else b""
        return gap + b"".join(
            b"event: request\nid: %b\ndata: %b\n\n" % (record.id.encode(), orjson.dumps(record_json(record)))
            for record in news
        )

    async def _news(self) -> list[Record]:
        """The records that were not there the last time, oldest first."""
        wanted = replace(self._wanted, start=time.time() - _LONGEST)
        store = self._request.app[LIVE].store
        found = await ask(self._request, lambda: store.requests(wanted, _AT_ONCE))
        news = [record for record in reversed(found) if record.id not in self._known]
        self._known.update(dict.fromkeys(record.id for record in news))
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return news


def _chosen(query: Query, span: Filter) -> Filter:
    """Raises `AdminError` 400."""
    slower, dearer = query.decimal("slower_than_ms"), query.decimal("dearer_than_usd")
    return replace(
        by_names(query, span),
        status=_status(query.text("status")),
        error=query.text("error"),
        slower_than_ms=None if slower is None else float(slower),
        dearer_than_nano=None if dearer is None else int(dearer * 10**9),
    )


def _status(text: str | None) -> int | None:
    """A status, or a class of them: ``404``, ``4`` or ``4xx``."""
    if text is None:
        return None
    digits = text.lower().removesuffix("xx")
    if not (digits.isascii() and digits.isdecimal() and len(digits) in (1, 3)):
        raise AdminError(400, f"status: must be like 404 or 4xx (got {quoted(text)}).")
    return int(digits)


routes = (
    web.get("/v1/requests", get_requests),
    web.get("/v1/requests/stream", stream_requests),
    web.get("/v1/requests/{id}", get_request),
)
