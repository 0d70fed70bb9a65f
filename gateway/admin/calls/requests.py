"""Calls for recent usage records."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from gateway.admin import requests
from gateway.admin.errors import AdminError, answer, encode
from gateway.admin.filters import CHOSEN_BY, RANGE, chosen, read_range
from gateway.admin.query import Query
from gateway.admin.requests import Tail
from gateway.admin.state import ADMIN
from gateway.admin.stream import EventStream, streamed
from gateway.api import Filter, StoreUnavailable

MAX_LIMIT = 1000
_POLL = 1.0


async def get_requests(request: web.Request) -> web.Response:
    """The newest records, newest first, and what to give as ``before`` for the next page."""
    query = Query(request, "limit", "before", *RANGE, *CHOSEN_BY)
    limit, before = query.whole("limit", 1, MAX_LIMIT) or 100, query.record("before")
    wanted = chosen(query, read_range(query))
    return answer(await requests.page(request.app[ADMIN], wanted, limit, before))


async def get_request(request: web.Request) -> web.Response:
    """One record with its attempts, by its id or its request id."""
    return answer(await requests.one(request.app[ADMIN], request.match_info["id"]))


async def stream_requests(request: web.Request) -> web.StreamResponse:
    """The records of all processes as they come, by server-sent events: ``event: request`` with a record,
    ``event: gap`` where there were more than can be shown."""
    tail = Tail(request.app[ADMIN], chosen(Query(request, *CHOSEN_BY), Filter()))
    await tail.news()  # what there is already is no news; an error is still an answer
    return await streamed(request, partial(_follow, tail))


async def _follow(tail: Tail, stream: EventStream) -> None:
    await stream.send(b": live\n\n")
    while await stream.wait(_POLL):
        await stream.send(await _events(tail))


async def _events(tail: Tail) -> bytes:
    try:
        news = await tail.news()
    except (StoreUnavailable, AdminError):
        return b": the store cannot be reached\n\n"
    gap = b"event: gap\ndata: {}\n\n" if tail.gap else b""
    return gap + b"".join(
        b"event: request\nid: %b\ndata: %b\n\n" % (record["id"].encode(), encode(record)) for record in news
    )


routes = (
    web.get("/v1/requests", get_requests),
    web.get("/v1/requests/stream", stream_requests),
    web.get("/v1/requests/{id}", get_request),
)
