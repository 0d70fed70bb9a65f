"""Calls for the providers and their keys."""

from __future__ import annotations

from functools import partial
from typing import Any

from aiohttp import web

from gateway.admin import providers
from gateway.admin.body import only, read_object, text
from gateway.admin.errors import answer
from gateway.admin.query import Query
from gateway.admin.state import ADMIN, note_change


async def list_providers(request: web.Request) -> web.Response:
    """Every provider with its keys."""
    Query(request)
    return answer({"providers": await providers.listing(request.app[ADMIN])})


async def get_provider(request: web.Request) -> web.Response:
    """One provider with its keys."""
    Query(request)
    return answer(await providers.one(request.app[ADMIN], request.match_info["id"]))


async def post_enable(request: web.Request) -> web.Response:
    """Use a key again that was switched off."""
    return await _switch(request, on=True)


async def post_disable(request: web.Request) -> web.Response:
    """Use a key no longer; what is in flight on it ends as it would."""
    return await _switch(request, on=False)


async def post_reset(request: web.Request) -> web.Response:
    """Forget a key's cool-downs, rejections and open circuits."""
    id, key = request.match_info["id"], request.match_info["key"]
    return _key_answer(id, await providers.reset(request.app[ADMIN], id, key, partial(note_change, request)))


async def post_test(request: web.Request) -> web.Response:
    """One tiny request to the upstream with each key, or with one."""
    state, id = request.app[ADMIN], request.match_info["id"]
    default = providers.default_model(state, id)
    body = await read_object(request, optional=True)
    only(body, "model", "key")
    model = text(body, "model", default)
    key = text(body, "key") if "key" in body else None
    return answer({"provider": id, "model": model, "results": await providers.test(state, id, model, key)})


async def _switch(request: web.Request, *, on: bool) -> web.Response:
    id, key = request.match_info["id"], request.match_info["key"]
    note = partial(note_change, request)
    return _key_answer(id, await providers.switch(request.app[ADMIN], id, key, note, on=on))


def _key_answer(provider: str, key: dict[str, Any]) -> web.Response:
    return answer({"status": "ok", "provider": provider, "key": key})


_KEY = "/v1/providers/{id}/keys/{key}"
routes = (
    web.get("/v1/providers", list_providers),
    web.get("/v1/providers/{id}", get_provider),
    web.post("/v1/providers/{id}/test", post_test),
    web.post(f"{_KEY}/enable", post_enable),
    web.post(f"{_KEY}/disable", post_disable),
    web.post(f"{_KEY}/reset", post_reset),
)
