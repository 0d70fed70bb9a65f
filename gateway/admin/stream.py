"""Server-sent events on the admin side: few at a time, for as long as the viewer may look and keeps up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.admin.errors import AdminError
from gateway.admin.state import ADMIN, CALLER
from gateway.keys import LIVE

MAX_STREAMS = 16
"""Live streams of one process."""
_LOOK = 1.0
"""Seconds between two looks at whether the viewer may still look."""
_SLOW_READER = 10.0
"""Seconds in which a stream's client must have taken what was sent to it."""
_KEEPALIVE = 15.0
_TYPE = "text/event-stream"


def wants_events(request: web.Request) -> bool:
    """Whether the request asks for a stream of events."""
    return request.headers.get("accept", "").startswith(_TYPE)


class EventStream:
    """One viewer."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._silent = 0.0
        self.response = web.StreamResponse(headers={"content-type": _TYPE, "cache-control": "no-store"})

    async def send(self, data: bytes) -> None:
        """Send whole events, if there are any. Raises `TimeoutError` if the viewer takes nothing."""
        if not data:
            return
        self._silent = 0.0
        async with asyncio.timeout(_SLOW_READER):
            await self.response.write(data)

    async def wait(self, seconds: float) -> bool:
        """Let time pass, but not in silence for long: whether the viewer may still look then."""
        while seconds > 0 and self._welcome():
            await asyncio.sleep(min(seconds, _LOOK))
            seconds -= _LOOK
            self._silent += _LOOK
            if self._silent >= _KEEPALIVE:
                await self.send(b": \n\n")
        return self._welcome()

    def _welcome(self) -> bool:
        app = self._request.app
        session = self._request[CALLER].session
        return not app[LIVE].draining and (session is None or app[ADMIN].sessions.lasts(session))


async def streamed(
    request: web.Request, send: Callable[[EventStream], Awaitable[None]]
) -> web.StreamResponse:
    """The answer whose events ``send`` sends; a viewer who went, were it before the first one, or is too slow
    just ends it. Raises `AdminError` 503: too many."""
    state = request.app[ADMIN]
    if state.streams >= MAX_STREAMS:
        raise AdminError(503, f"{MAX_STREAMS} live streams are open already.", headers={"retry-after": "10"})
    state.streams += 1
    stream = EventStream(request)
    try:
        await stream.response.prepare(request)
        await send(stream)
    except (TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()
    finally:
        state.streams -= 1
    return stream.response
