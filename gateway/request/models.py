"""The model list: every name this client may put into ``model``."""

from __future__ import annotations

import orjson
from aiohttp import web

from gateway.api import ApiError
from gateway.catalog import Pool
from gateway.clients import Client
from gateway.request.checks import MAX_MODEL_NAME
from gateway.request.ending import whole
from gateway.request.errors import quoted
from gateway.request.transaction import Transaction

CREATED = 1_700_000_000
"""Models have no birthday here; OpenAI's schema wants one."""


async def list_models(tx: Transaction) -> web.StreamResponse:
    """``GET /v1/models``."""
    names = tx.runtime.catalog.names()
    data = [_model(name, pool) for name, pool in sorted(names.items()) if _usable(tx.client, name, pool)]
    return whole(tx, orjson.dumps({"object": "list", "data": data}))


async def get_model(tx: Transaction) -> web.StreamResponse:
    """``GET /v1/models/{id}``; ids may hold slashes and colons."""
    name = tx.alias = tx.http.match_info["id"][:MAX_MODEL_NAME]
    pool = tx.runtime.catalog.names().get(name)
    if pool is None or not _usable(tx.client, name, pool):
        raise ApiError("model_not_found", f"The model {quoted(name)} does not exist.", param="model")
    return whole(tx, orjson.dumps(_model(name, pool)))


def _usable(client: Client, name: str, pool: Pool) -> bool:
    return bool(client.allowed(pool.within(client.providers), name))


def _model(name: str, pool: Pool) -> dict[str, object]:
    owners = sorted({target.provider for target in pool.targets})
    return {"id": name, "object": "model", "created": CREATED, "owned_by": ",".join(owners)}
