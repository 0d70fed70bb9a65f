"""Calls for recent usage records."""

from __future__ import annotations

import asyncio

from aiohttp import web

from gateway.admin import requests
from gateway.admin.errors import AdminError, answer, encode
from gateway.admin.filters import CHOSEN_BY, RANGE, chosen, read_range
from gateway.admin.query import Query
from gateway.admin.requests import Tail, stream_place
from gateway.admin.state import ADMIN, CALLER
from gateway.api import Filter, StoreUnavailable

MAX_LIMIT = 1000
_POLL = 1.0
_KEEPALIVE = 15.0
_SLOW_READER = 10.0
"""Seconds in which a stream's client must have taken what was sent to it."""


async def get_requests(request: web.Request) -> web.Response:
    """The newest records, newest first, and what to give as ``before`` for the next page."""
    query = Query(request, "limit", "before", *RANGE, *CHOSEN_BY)
    limit, before = query.whole("limit", 1, MAX_LIMIT) or 100, query.text("before")
    wanted = chosen(query, read_range(query))
    return answer(await requests.page(request.app[ADMIN], wanted, limit, before))


async def get_request(request: web.Request) -> web.Response:
    """One record with its attempts, by its id or its request id."""
    return answer(await requests.one(request.app[ADMIN], request.match_info["id"]))


async def stream_requests(request: web.Request) -> web.StreamResponse:
    """The records of all processes as they come, by server-sent events: ``event: request`` with a record,
    ``event: gap`` where there were more than can be shown."""
    stream = _Stream(request, chosen(Query(request, *CHOSEN_BY), Filter()))
    with stream_place(request.app[ADMIN]):
        return await stream.run()


class _Stream:
    """One live stream."""

    def __init__(self, request: web.Request, wanted: Filter) -> None:
        self._request = request
        self._tail = Tail(request.app[ADMIN], wanted)
        self._response = web.StreamResponse(
            headers={"content-type": "text/event-stream", "cache-control": "no-store"}
        )

    async def run(self) -> web.StreamResponse:
        """Until the client goes, is too slow, or may no longer look."""
        await self._tail.news()  # what there is already is no news; an error is still an answer
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
        state, session = self._request.app[ADMIN], self._request[CALLER].session
        return not state.live.draining and (session is None or state.sessions.lasts(session))

    async def _send(self, data: bytes) -> None:
        async with asyncio.timeout(_SLOW_READER):
            await self._response.write(data)

    async def _events(self) -> bytes:
        try:
            news = await self._tail.news()
        except (StoreUnavailable, AdminError):
            return b": the store cannot be reached\n\n"
        gap = b"event: gap\ndata: {}\n\n" if self._tail.gap else b""
        return gap + b"".join(
            b"event: request\nid: %b\ndata: %b\n\n" % (record["id"].encode(), encode(record))
            for record in news
        )


routes = (
    web.get("/v1/requests", get_requests),
    web.get("/v1/requests/stream", stream_requests),
    web.get("/v1/requests/{id}", get_request),
)
