"""A page's handler as aiohttp wants it: the whole page for who comes, its live parts for who stays."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.admin.callers import told
from gateway.admin.pages.page import PageHandler
from gateway.admin.pages.render import parts, whole
from gateway.admin.stream import EventStream, streamed, wants_events


def shown(handler: PageHandler) -> Handler:
    """Show what ``handler`` makes; asked for events, show it again and again, as often as the page says."""

    async def show(request: web.Request) -> web.StreamResponse:
        page = await handler(request)
        if page.every is None or not wants_events(request):
            return await whole(request, page)
        return await streamed(request, partial(_follow, request, handler, page.every))

    return show


async def _follow(request: web.Request, handler: PageHandler, every: float, stream: EventStream) -> None:
    """Send the parts that changed, until the viewer goes or may no longer look."""
    sent: Mapping[str, str] = {}
    while True:
        try:
            known, sent = sent, await parts(request, await handler(request))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            await stream.send(b"event: trouble\ndata: %b\n\n" % orjson.dumps(told(error, request).message))
        else:
            changed = [html for name, html in sent.items() if known.get(name) != html]
            await stream.send(b"event: parts\ndata: %b\n\n" % orjson.dumps(changed))
        if not await stream.wait(every):
            return
