"""Runs the application on our own connections."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from aiohttp.http_parser import HttpRequestParser

from gateway.server import IDLE_TIMEOUT, Server
from gateway.shortcut import Shortcut


class MissingParser(RuntimeError):
    """aiohttp runs on its pure-Python parser, which accepts requests that the C one refuses."""

    def __init__(self) -> None:
        super().__init__("aiohttp was installed without its C extension; install a wheel for this platform")


class Runner(web.AppRunner):
    """Runs the application on our own connections. ``drain``: seconds that requests in flight may take
    to end once it is told to clean up; ``on_refusal``: see `Server`."""

    __slots__ = ("_on_refusal",)

    def __init__(
        self, app: web.Application, drain: float, on_refusal: Callable[[str], None] = lambda code: None
    ) -> None:
        if HttpRequestParser.__module__ != "aiohttp._http_parser":
            raise MissingParser
        self._on_refusal = on_refusal
        super().__init__(
            app,
            access_log=None,
            shutdown_timeout=drain,
            keepalive_timeout=IDLE_TIMEOUT,
            max_line_size=8190,
            max_field_size=8190,
        )

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        server = Server(
            Shortcut(self.app).handle,
            request_factory=made.request_factory,
            handler_cancellation=True,
            **made._kwargs,
        )
        server.on_refusal = self._on_refusal
        return server
