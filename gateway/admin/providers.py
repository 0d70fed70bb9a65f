"""The providers and their keys: how they stand, and what an operator may do about it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, replace
from typing import Any

from aiohttp import web

from gateway.admin.body import only, read_object, text
from gateway.admin.changing import apply
from gateway.admin.errors import AdminError, answer
from gateway.admin.keystate import TOPIC, Standing, standing, together
from gateway.admin.ledger import ask, total_json
from gateway.admin.query import Query
from gateway.admin.state import note_change
from gateway.admin.trial import try_key
from gateway.api import Filter, StoreUnavailable, Total
from gateway.catalog import Key, Service
from gateway.config.managed import Managed
from gateway.config.masked import without_userinfo
from gateway.keys import LIVE
from gateway.request.errors import quoted
from gateway.runtime import Live

RECENT = 86400.0
"""Seconds of which requests and cost are shown."""

_LIMITS = ("requests", "tokens", "parallel", "session", "session_seconds")

_Totals = dict[tuple[str, ...], Total] | None


async def list_providers(request: web.Request) -> web.Response:
    """Every provider with its keys."""
    Query(request)
    live = request.app[LIVE]
    known, totals = await _everywhere(live), await _recent(request, Filter())
    services = live.current.catalog.services.values()
    return answer({"providers": [_service_json(service, known, totals) for service in services]})


async def get_provider(request: web.Request) -> web.Response:
    """One provider with its keys."""
    Query(request)
    service = _service(request)
    totals = await _recent(request, Filter(provider=service.id))
    return answer(_service_json(service, await _everywhere(request.app[LIVE]), totals))


async def post_enable(request: web.Request) -> web.Response:
    """Use a key again that was switched off."""
    return await _switch(request, on=True)


async def post_disable(request: web.Request) -> web.Response:
    """Use a key no longer; what is in flight on it ends as it would."""
    return await _switch(request, on=False)


async def post_reset(request: web.Request) -> web.Response:
    """Forget a key's cool-downs, rejections and open circuits. Its windows stay: they are its limits."""
    live = request.app[LIVE]
    service, key = _key(request)
    live.memory.free(key.state, time.monotonic())
    key.state.last_error = None
    note_change(request, f"{service.id}/{key.id}: reset")
    return _key_answer(request, service, key)


async def post_test(request: web.Request) -> web.Response:
    """One tiny request to the upstream with each key: whether it works, how fast, and if not, why."""
    service = _service(request)
    body = await read_object(request, optional=True)
    only(body, "model")
    model = text(body, "model", service.default_model)
    live = request.app[LIVE]
    targets = live.current.catalog.targets(service, model)
    results = await asyncio.gather(*(try_key(live, target) for target in targets))
    return answer({"provider": service.id, "model": model, "results": [asdict(one) for one in results]})


async def _switch(request: web.Request, *, on: bool) -> web.Response:
    service, key = _key(request)
    name = frozenset({f"{service.id}/{key.id}"})

    def switched(managed: Managed) -> Managed:
        return replace(managed, disabled=managed.disabled - name if on else managed.disabled | name)

    await apply(request, switched)
    note_change(request, f"{service.id}/{key.id}: {'enabled' if on else 'disabled'}")
    return _key_answer(request, service, key)


def _key_answer(request: web.Request, service: Service, key: Key) -> web.Response:
    """The key as this process knows it by now; the others hear of it within a second."""
    known = standing(request.app[LIVE])
    return answer({"status": "ok", "provider": service.id, "key": _key_json(key, known)})


def _service(request: web.Request) -> Service:
    id = request.match_info["id"]
    service = request.app[LIVE].current.catalog.services.get(id)
    if service is None:
        raise AdminError(404, f"There is no provider {quoted(id)}.")
    return service


def _key(request: web.Request) -> tuple[Service, Key]:
    service, id = _service(request), request.match_info["key"]
    for key in service.keys:
        if key.id == id:
            return service, key
    raise AdminError(
        404, f"{service.id} has no key {quoted(id)}.", details={"keys": [k.id for k in service.keys]}
    )


async def _everywhere(live: Live) -> dict[str, Standing]:
    return together(await live.peers.gather(TOPIC))


async def _recent(request: web.Request, wanted: Filter) -> _Totals:
    """Totals of the last day by provider and key; None where the store cannot say: all else still can be."""
    wanted = replace(wanted, start=time.time() - RECENT)
    store = request.app[LIVE].store
    try:
        totals = await ask(request, lambda: store.totals(wanted, ("provider", "key")))
    except (StoreUnavailable, AdminError):
        return None
    return {total.group: total for total in totals}


def _service_json(service: Service, known: dict[str, Standing], totals: _Totals) -> dict[str, Any]:
    base_url = getattr(service.plugin, "base_url", None)
    return {
        "id": service.id,
        "name": service.name,
        "type": service.type,
        "base_url": without_userinfo(base_url) if isinstance(base_url, str) else None,
        "model": service.default_model,
        "operations": sorted(service.plugin.operations),
        "keys": [
            {**_key_json(key, known), "last_24h": _usage(totals, service.id, key.id)} for key in service.keys
        ],
    }


def _key_json(key: Key, everything: dict[str, Standing]) -> dict[str, Any]:
    limits = key.state.meter.limits
    known = everything.get(key.state.meter.subject, {})
    seconds = known.get("cooled_seconds")
    return {
        "id": key.id,
        **known,
        "cooled_until": time.time() + seconds if seconds else None,
        "limits": {**{name: getattr(limits, name) for name in _LIMITS}, "max_tokens": key.max_tokens},
    }


def _usage(totals: _Totals, provider: str, key: str) -> dict[str, Any] | None:
    return None if totals is None else total_json(totals.get((provider, key), Total()))


_KEY = "/v1/providers/{id}/keys/{key}"
routes = (
    web.get("/v1/providers", list_providers),
    web.get("/v1/providers/{id}", get_provider),
    web.post("/v1/providers/{id}/test", post_test),
    web.post(f"{_KEY}/enable", post_enable),
    web.post(f"{_KEY}/disable", post_disable),
    web.post(f"{_KEY}/reset", post_reset),
)
