"""The clients: made, shown with what they used, changed, given another key, removed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from aiohttp import web

from gateway.admin.body import read_object
from gateway.admin.changing import apply
from gateway.admin.errors import AdminError, answer
from gateway.admin.ledger import RANGE, ask, read_range, total_json
from gateway.admin.query import Query
from gateway.admin.state import note_change
from gateway.api import Total
from gateway.config.client_edit import (
    FromTheFile,
    Taken,
    UnknownClient,
    change,
    create,
    new_secret,
    remove,
    rotate,
    validated,
)
from gateway.config.fields import BlankIsNone, Credential, Seconds
from gateway.config.managed import Managed
from gateway.config.masked import is_mask, masked_section
from gateway.config.problems import ConfigError
from gateway.config.section import Section
from gateway.config.tree import CLIENTS
from gateway.keys import LIVE
from gateway.logs import rfc3339
from gateway.reload import told
from gateway.request.errors import quoted
from gateway.runtime import Live

_INVALID = 400


class Rotation(Section):
    """The body of a rotation."""

    grace: Seconds = 0.0
    """How long the keys it had stay valid."""
    key: Annotated[Credential | None, BlankIsNone] = None
    """None: one is made."""


async def post_client(request: web.Request) -> web.Response:
    """Make a client. Its key is in the answer to this call, and nowhere else."""
    body = await read_object(request)
    live = request.app[LIVE]
    secret = body["key"] = body.get("key") or new_secret()
    made: list[str] = []

    def creation(managed: Managed) -> Managed:
        after = create(managed, live.managed.effective, body, time.time())
        made.extend(after.clients.keys() - managed.clients.keys())
        return after

    await _apply(request, creation)
    id_ = made[-1]
    note_change(request, f"api_keys.{id_}")
    location = {"location": f"{request.path}/{id_}"}
    return answer({**_shown(live, id_), "key": secret}, 201, location)


async def list_clients(request: web.Request) -> web.Response:
    """Every client."""
    Query(request)
    live = request.app[LIVE]
    return answer({"clients": [_shown(live, id_) for id_ in live.managed.clients]})


async def list_usage(request: web.Request) -> web.Response:
    """Every client with what it used, in all or in the time asked for, and how its windows stand."""
    live = request.app[LIVE]
    used = await _used(request, Query(request, *RANGE))
    return answer(
        {"clients": [_with_usage(live, id_, used) for id_ in live.managed.clients]},
    )


async def get_client(request: web.Request) -> web.Response:
    """One client, as `list_usage` has it."""
    id_ = _known(request)
    used = await _used(request, Query(request, *RANGE), id_)
    return answer(_with_usage(request.app[LIVE], id_, used))


async def put_client(request: web.Request) -> web.Response:
    """Change what the body holds of a client, and leave the rest."""
    id_ = _known(request)
    body = await read_object(request)
    live = request.app[LIVE]
    if body.get("id", id_) != id_:
        raise AdminError(_INVALID, "id: cannot be changed. Make another client in its place.")
    if is_mask(body.get("key")):  # sent back as it was shown in the configuration
        del body["key"]
    await _apply(request, lambda managed: change(managed, live.managed.effective, id_, body))
    note_change(request, *(f"api_keys.{id_}.{name}" for name in body if name != "id"))
    return answer(_shown(live, id_))


async def delete_client(request: web.Request) -> web.Response:
    """Remove a client that was made here. Its keys are refused from now on."""
    id_ = _known(request)
    live = request.app[LIVE]
    await _apply(request, lambda managed: remove(managed, live.managed.effective, id_))
    note_change(request, f"api_keys.{id_}")
    return answer({"status": "ok", "id": id_})


async def post_rotate(request: web.Request) -> web.Response:
    """Give a client another key, shown in the answer to this call only; the old ones end after ``grace``."""
    id_ = _known(request)
    live = request.app[LIVE]
    wanted = await _rotation(request)
    secret = wanted.key.get_secret_value() if wanted.key is not None else new_secret()
    until = time.time() + wanted.grace
    await _apply(request, lambda managed: rotate(managed, live.managed.effective, id_, secret, until))
    note_change(request, f"api_keys.{id_}.key")
    return answer({**_shown(live, id_), "key": secret, "previous_valid_until": rfc3339(until)})


async def _rotation(request: web.Request) -> Rotation:
    try:
        return validated(Rotation, await read_object(request, optional=True))
    except ConfigError as error:
        raise AdminError(_INVALID, "This is not valid.", details=told(error.errors)) from None


async def _apply(request: web.Request, step: Callable[[Managed], Managed]) -> None:
    """Make a change of clients. Raises `AdminError`."""
    try:
        await apply(request, step, invalid=_INVALID)
    except Taken as exc:
        raise AdminError(409, f"This cannot be: {exc}.") from None
    except UnknownClient:
        raise AdminError(404, "There is no such client any more.") from None
    except FromTheFile:
        raise AdminError(
            409,
            "This client is in the configuration file: remove it there. To shut it out at once, PUT an "
            "expires_at in the past.",
        ) from None


def _known(request: web.Request) -> str:
    id_ = request.match_info["id"]
    if id_ not in request.app[LIVE].managed.clients:
        raise AdminError(404, f"There is no client {quoted(id_)}.")
    return id_


def _shown(live: Live, id_: str) -> dict[str, Any]:
    """A client as it is set, no key in it."""
    client = live.managed.clients[id_]
    now = time.time()
    ends = client.settings.expires_at
    created = client.made_of.created_at if client.made_of is not None else None
    return {
        **masked_section(client.settings, CLIENTS),
        "source": client.source,
        "changed": client.source == "file" and client.made_of is not None,
        "expired": ends is not None and ends.timestamp() <= now,
        "created_at": None if created is None else rfc3339(created),
        "keys": [
            {"id": f"c-{key.digest[:8]}", "valid_until": None if key.until is None else rfc3339(key.until)}
            for key in client.keys
            if key.until is None or key.until > now
        ],
    }


async def _used(request: web.Request, query: Query, id_: str | None = None) -> dict[str, Total]:
    wanted = read_range(query)
    store = request.app[LIVE].store
    totals = await ask(request, partial(store.totals, replace(wanted, client=id_), ("client",)))
    return {total.group[0]: total for total in totals}


def _with_usage(live: Live, id_: str, used: dict[str, Total]) -> dict[str, Any]:
    served = live.current.clients.named(id_)
    return {
        **_shown(live, id_),
        "usage": total_json(used.get(id_) or Total()),
        "windows": {
            reading.kind: {"limit": reading.limit, "used": reading.used, "reset_seconds": reading.reset}
            for reading in (served.meter.readings() if served else ())
        },
    }


routes = (
    web.post("/v1/clients", post_client),
    web.get("/v1/clients", list_usage),
    web.get("/v1/clients/list", list_clients),
    web.get("/v1/clients/{id}", get_client),
    web.put("/v1/clients/{id}", put_client),
    web.delete("/v1/clients/{id}", delete_client),
    web.post("/v1/clients/{id}/rotate", post_rotate),
)
