"""The shortcut answers as the application itself would."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from aiohttp.typedefs import Handler

from gateway.shortcut import Shortcut

PATHS = ("/v1/models", "/v1/models/", "/v1/models/a%2Fb", "/v1/%6Dodels", "/nowhere", "/below/thing", "/")


@web.middleware
async def outer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        answer = await handler(request)
    except web.HTTPException as error:
        return web.Response(status=error.status, text="refused")
    assert isinstance(answer, web.Response)
    answer.text = f"outer {answer.text}"
    return answer


@web.middleware
async def inner(request: web.Request, handler: Handler) -> web.StreamResponse:
    answer = await handler(request)
    assert isinstance(answer, web.Response)
    answer.text = f"inner {answer.text}"
    return answer


async def fixed(request: web.Request) -> web.Response:
    return web.Response(
        text=f"fixed {request.method} {request.match_info.handler is fixed} {len(request.app)}"
    )


async def named(request: web.Request) -> web.Response:
    return web.Response(text=f"named {request.match_info['id']}")


def application() -> web.Application:
    app = web.Application(middlewares=[outer, inner])
    app.router.add_get("/v1/models", fixed)
    app.router.add_get("/v1/models/{id:.+}", named)
    below = web.Application()
    below.router.add_get("/thing", fixed)
    app.add_subapp("/below", below)
    app.freeze()
    return app


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
@pytest.mark.parametrize("path", PATHS)
async def test_answers_what_the_application_would(method: str, path: str) -> None:
    app = application()
    usual = await app._handle(make_mocked_request(method, path))
    short = await Shortcut(app).handle(make_mocked_request(method, path))
    assert isinstance(usual, web.Response) and isinstance(short, web.Response)
    assert (short.status, short.text) == (usual.status, usual.text)


async def test_a_fixed_path_is_not_searched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    app = application()
    short = Shortcut(app)
    monkeypatch.setattr(app, "_router", None)
    answer = await short.handle(make_mocked_request("GET", "/v1/models"))
    assert isinstance(answer, web.Response)
    assert answer.text == "outer inner fixed GET True 0"
