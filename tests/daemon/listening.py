"""The gateway's listeners in front of an application that says hello."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from gateway.config.schema import Server
from gateway.listeners import Listeners
from gateway.runner import Runner


@asynccontextmanager
async def listening(config: Server) -> AsyncIterator[Listeners]:
    """Listen as ``config`` says, and look for renewed certificates all the time."""

    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    runner = Runner(app, 0.1)
    await runner.setup()
    listeners = Listeners(runner, config, renewal_check=0.005)
    try:
        await listeners.open()
        yield listeners
    finally:
        await listeners.close()
        await runner.cleanup()
