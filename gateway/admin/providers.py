"""The providers and their keys: how they stand, and what an operator may do about it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

from gateway.admin.changing import Note, apply
from gateway.admin.errors import AdminError
from gateway.admin.keystate import TOPIC, Standing, key_standing, of_all, together, with_windows
from gateway.admin.ledger import ask, total_json
from gateway.admin.pace import paced
from gateway.admin.provider_keys import added
from gateway.admin.state import AdminState
from gateway.admin.trial import try_key
from gateway.admin.windows import windows_of
from gateway.api import Filter, StoreUnavailable, Total
from gateway.catalog import Key, Service
from gateway.config.managed import Managed
from gateway.config.masked import without_userinfo
from gateway.request.errors import quoted
from gateway.runtime import Live

RECENT = 86400.0
"""Seconds of which requests and cost are shown."""

_LIMITS = ("requests", "tokens", "parallel", "session", "session_seconds")

_Totals = dict[tuple[str, ...], Total] | None


async def listing(state: AdminState, *, usage: bool = True) -> list[dict[str, Any]]:
    """Every provider with its keys; without ``usage`` the store is not asked what these were used for."""
    services = [*state.live.current.catalog.services.values()]
    known = await everywhere(state.live, services)
    totals = await _recent(state, Filter()) if usage else None
    return [await _service_json(state.live, service, known, totals) for service in services]


async def one(state: AdminState, id: str) -> dict[str, Any]:
    """One provider with its keys. Raises `AdminError` 404."""
    service = _service(state.live, id)
    totals = await _recent(state, Filter(provider=service.id))
    return await _service_json(state.live, service, await everywhere(state.live, [service]), totals)


async def switch(state: AdminState, id: str, key: str, note: Note, *, on: bool) -> dict[str, Any]:
    """Use a key no longer, though what is in flight on it ends as it would; or use it again, ``on``.
    Raises `AdminError`."""
    service, found = _key(state.live, id, key)
    name = frozenset({f"{service.id}/{found.id}"})

    def switched(managed: Managed) -> Managed:
        return replace(managed, disabled=managed.disabled - name if on else managed.disabled | name)

    await apply(state, switched)
    note(f"{service.id}/{found.id}: {'enabled' if on else 'disabled'}")
    return await _as_known_here(state.live, found)


async def reset(state: AdminState, id: str, key: str, note: Note) -> dict[str, Any]:
    """Forget a key's failures, with the cool-downs, rejections and open circuits they led to. Its windows
    stay: they are its limits. Raises `AdminError` 404."""
    service, found = _key(state.live, id, key)
    state.live.memory.free(found.state, time.monotonic())
    note(f"{service.id}/{found.id}: reset")
    return await _as_known_here(state.live, found)


def default_model(state: AdminState, id: str) -> str | None:
    """The model that `test` asks for where nothing else is said. Raises `AdminError` 404."""
    return _service(state.live, id).default_model


async def test(state: AdminState, id: str, model: str, key: str | None = None) -> list[dict[str, Any]]:
    """One tiny request to the upstream with each key, or with one: whether it works, how fast, and if not,
    why. Raises `AdminError` 404."""
    live = state.live
    service, chosen = (_service(live, id), None) if key is None else _key(live, id, key)
    targets = live.current.catalog.targets(service, model)
    results = await asyncio.gather(
        *(try_key(live, target) for target in targets if chosen is None or target.secret is chosen)
    )
    return [asdict(one) for one in results]


async def everywhere(live: Live, services: Iterable[Service]) -> dict[str, Standing]:
    """How every key of ``services`` stands in all processes together, by its subject."""
    keys = {key.state.meter.subject: key for service in services for key in service.keys}
    parts, windows = await asyncio.gather(
        live.peers.gather(TOPIC), windows_of(live, (key.state.meter for key in keys.values()))
    )
    known = together(parts)
    return {subject: with_windows(of_all(known, key), windows[subject]) for subject, key in keys.items()}


async def _as_known_here(live: Live, key: Key) -> dict[str, Any]:
    """The key as this process knows it by now; the others hear of it within a second."""
    meter = key.state.meter
    windows = await windows_of(live, [meter])
    return _key_json(key, with_windows(key_standing(key), windows[meter.subject]))


def _service(live: Live, id: str) -> Service:
    service = live.current.catalog.services.get(id)
    if service is None:
        raise AdminError(404, f"There is no provider {quoted(id)}.")
    return service


def _key(live: Live, provider: str, id: str) -> tuple[Service, Key]:
    service = _service(live, provider)
    for key in service.keys:
        if key.id == id:
            return service, key
    raise AdminError(
        404, f"{service.id} has no key {quoted(id)}.", details={"keys": [k.id for k in service.keys]}
    )


async def _recent(state: AdminState, wanted: Filter) -> _Totals:
    """Totals of the last day by provider and key; None where the store cannot say: all else still can be."""
    wanted = replace(wanted, start=time.time() - RECENT)
    try:
        totals = await ask(state, lambda: state.live.store.totals(wanted, ("provider", "key")))
    except (StoreUnavailable, AdminError):
        return None
    return {total.group: total for total in totals}


async def _service_json(
    live: Live, service: Service, known: Mapping[str, Standing], totals: _Totals
) -> dict[str, Any]:
    made_here = added(live, service.id)
    return {
        "id": service.id,
        "name": service.name,
        "type": service.type,
        "base_url": without_userinfo(service.base_url) if service.base_url is not None else None,
        "model": service.default_model,
        "operations": sorted(service.plugin.operations),
        "keys": [
            {
                **_key_json(key, known[key.state.meter.subject]),
                "source": "api" if key.id in made_here else "file",
                "last_24h": _usage(totals, service.id, key.id),
            }
            async for key in paced(service.keys)
        ],
    }


def _key_json(key: Key, known: Standing) -> dict[str, Any]:
    limits = key.state.meter.limits
    seconds = known.get("cooled_seconds")
    return {
        "id": key.id,
        **known,
        "cooled_until": time.time() + seconds if seconds else None,
        "limits": {**{name: getattr(limits, name) for name in _LIMITS}, "max_tokens": key.max_tokens},
    }


def _usage(totals: _Totals, provider: str, key: str) -> dict[str, Any] | None:
    return None if totals is None else total_json(totals.get((provider, key), Total()))
