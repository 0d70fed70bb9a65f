"""The way from a request to its handler, without aiohttp's search where a path is a fixed one."""

from __future__ import annotations

from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp.web_urldispatcher import PlainResource, UrlMappingMatchInfo


class Shortcut:
    """Handles requests in place of ``app``, to be made once that is frozen. A method and path that name one
    of its own routes are looked up; all others are left to it."""

    def __init__(self, app: web.Application) -> None:
        self._app = app
        self._found = {
            (route.method, resource.canonical): (route, _through(app, route.handler))
            for resource in app.router.resources()
            if isinstance(resource, PlainResource)
            for route in resource
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """As aiohttp's own, which finds the route anew and wraps its handler in the middlewares each time."""
        assert isinstance(request, web.Request)
        found = self._found.get((request.method, request.rel_url.path_safe))
        if found is None:
            return await self._app._handle(request)
        route, handler = found
        match = UrlMappingMatchInfo({}, route)
        match.add_app(self._app)
        match.freeze()
        request._match_info = match
        return await handler(request)


def _through(app: web.Application, handler: Handler) -> Handler:
    """The handler behind the application's middlewares."""
    for middleware in reversed(app.middlewares):
        handler = partial(middleware, handler=handler)
    return handler
