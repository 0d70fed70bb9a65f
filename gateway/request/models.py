"""The model list: every name this client may put into ``model``."""

from __future__ import annotations

import orjson
from aiohttp import web

from gateway.api import ApiError
from gateway.catalog import Pool
from gateway.clients import Client
from gateway.keys import CLIENT, LIVE, REQUEST_ID
from gateway.request.head import head, line
from gateway.server import Direct

CREATED = 1_700_000_000
"""Models have no birthday here; OpenAI's schema wants one."""


async def list_models(request: web.Request) -> web.StreamResponse:
    """``GET /v1/models``."""
    names = request.app[LIVE].current.catalog.names()
    client = request[CLIENT]
    data = [_model(name, pool) for name, pool in sorted(names.items()) if _usable(client, name, pool)]
    return _answer(request, {"object": "list", "data": data})


async def get_model(request: web.Request) -> web.StreamResponse:
    """``GET /v1/models/{id}``; ids may hold slashes and colons."""
    name = request.match_info["id"]
    pool = request.app[LIVE].current.catalog.names().get(name)
    if pool is None or not _usable(request[CLIENT], name, pool):
        raise ApiError("model_not_found", f"The model {name[:256]!r} does not exist.", param="model")
    return _answer(request, _model(name, pool))


def _usable(client: Client, name: str, pool: Pool) -> bool:
    return any(
        client.may_use(name)
        or client.may_use(target.model)
        or client.may_use(f"{target.provider}:{target.model}")
        for target in pool.within(client.providers)
    )


def _model(name: str, pool: Pool) -> dict[str, object]:
    owners = sorted({target.provider for target in pool.targets})
    return {"id": name, "object": "model", "created": CREATED, "owned_by": ",".join(owners)}


def _answer(request: web.Request, value: object) -> Direct:
    body = orjson.dumps(value)
    lines = line("x-request-id", request[REQUEST_ID]) + line("x-coo-cache", "off")
    return Direct(200, head(request, 200, len(body), lines) + body)
