"""The clients: made, shown with what they used, changed, given another key, removed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from gateway.admin.changing import Note, apply
from gateway.admin.errors import AdminError
from gateway.admin.ledger import ask, dollars, total_json
from gateway.admin.pace import paced
from gateway.admin.state import AdminState
from gateway.admin.windows import Windows, windows_json, windows_of
from gateway.api import Filter, StoreUnavailable, Total
from gateway.config import client_edit
from gateway.config.client_edit import FromTheFile, Taken, UnknownClient, new_secret, validated
from gateway.config.fields import BlankIsNone, Credential, Seconds
from gateway.config.managed import Managed
from gateway.config.masked import is_mask, masked_section
from gateway.config.problems import ConfigError, render
from gateway.config.roster import KnownClient
from gateway.config.section import Section
from gateway.config.tree import CLIENTS, leaves
from gateway.logs import rfc3339
from gateway.reload import told
from gateway.request.errors import quoted
from gateway.runtime import Live

_INVALID = 400
_READ_ONLY = frozenset({"source", "changed", "changes", "expired", "created_at", "keys", "usage", "windows"})
"""What answers say of a client beside its settings."""


class Rotation(Section):
    """What is asked of a rotation."""

    grace: Seconds = 0.0
    """How long the keys it had stay valid."""
    key: Annotated[Credential | None, BlankIsNone] = None
    """None: one is made."""


async def create(state: AdminState, body: Mapping[str, Any], note: Note) -> dict[str, Any]:
    """Make a client. Its key is in what is returned here, and nowhere else. Raises `AdminError`."""
    live = state.live
    secret = new_secret() if body.get("key") in (None, "") else body["key"]
    made: list[str] = []

    def creation(managed: Managed) -> Managed:
        after = client_edit.create(managed, live.managed.effective, {**body, "key": secret}, time.time())
        made.extend(id_ for id_, client in after.clients.items() if managed.clients.get(id_) is not client)
        return after

    await _apply(state, creation)
    id_ = made[-1]
    note(f"api_keys.{id_}")
    return {**_shown(live, id_), "key": secret}


async def listing(state: AdminState) -> list[dict[str, Any]]:
    """Every client."""
    live = state.live
    return [
        _shown(live, id_)
        async for id_ in paced(live.managed.clients)
        if id_ in live.managed.clients  # deleted meanwhile
    ]


async def used(state: AdminState, span: Filter) -> dict[str, Total]:
    """What each client used in ``span``, by its id."""
    totals = await ask(state, partial(state.live.store.totals, span, ("client",)))
    return {total.group[0]: total for total in totals}


async def used_if_known(state: AdminState, span: Filter) -> dict[str, Total] | None:
    """As `used`; None while the store cannot say: all else of the clients is known without it."""
    try:
        return await used(state, span)
    except (StoreUnavailable, AdminError):
        return None


async def one(state: AdminState, id_: str, span: Filter) -> dict[str, Any]:
    """One client with what it used in ``span``, and how its windows stand. Raises `AdminError` 404."""
    _check_known(state.live, id_)
    totals = await used_if_known(state, replace(span, client=id_))
    return {**await standing(state, id_), "usage": usage_json(totals, id_)}


async def standing(state: AdminState, id_: str) -> dict[str, Any]:
    """One client, and how its windows stand. Raises `AdminError` 404."""
    _check_known(state.live, id_)
    windows = await windows_by_client(state.live, [id_])
    return {**described(state, id_), "windows": client_windows_json(windows[id_])}


def described(state: AdminState, id_: str) -> dict[str, Any]:
    """One client as it is set. Raises `AdminError` 404."""
    _check_known(state.live, id_)
    return _shown(state.live, id_)


def client_windows_json(windows: Windows) -> dict[str, Any]:
    """`windows_json`, a budget's nano-dollars in dollars as well."""
    found = windows_json(windows)
    if (budget := found.get("budget")) is not None:
        budget |= {"limit_usd": dollars(budget["limit"]), "used_usd": dollars(budget["used"])}
    return found


async def windows_by_client(live: Live, ids: Iterable[str]) -> dict[str, Windows]:
    """How the windows of these clients stand, by id."""
    served = {id_: live.current.clients.named(id_) for id_ in ids}
    found = await windows_of(live, (client.meter for client in served.values() if client is not None))
    return {id_: found[client.meter.subject] if client is not None else {} for id_, client in served.items()}


def usage_json(used: Mapping[str, Total] | None, id_: str) -> dict[str, Any] | None:
    """What a client used; None if that is not known."""
    return None if used is None else total_json(used.get(id_) or Total())


async def change(state: AdminState, id_: str, body: Mapping[str, Any], note: Note) -> dict[str, Any]:
    """Change what the body holds of a client, and leave the rest; what answers say beside the settings may
    come back. Raises `AdminError`."""
    live = state.live
    touched: list[str] = []
    _check_known(live, id_)
    if body.get("id", id_) != id_:
        raise AdminError(_INVALID, "id: cannot be changed. Make another client in its place.")
    # A masked key was sent back as it was shown in the configuration.
    wanted = {
        name: value
        for name, value in body.items()
        if name not in _READ_ONLY and not (name == "key" and is_mask(value))
    }

    def edit(managed: Managed) -> Managed:
        file = live.managed.effective
        patch = client_edit.edited(managed, file, id_, wanted)
        touched[:] = patch
        return client_edit.change(managed, file, id_, patch) if patch else managed

    await _apply(state, edit)
    for name in touched:
        note(f"api_keys.{id_}.{name}")
    return _shown(live, id_)


async def remove(state: AdminState, id_: str, note: Note) -> None:
    """Remove a client that was made here. Its keys are refused from now on. Raises `AdminError`."""
    live = state.live
    _check_known(live, id_)
    await _apply(state, lambda managed: client_edit.remove(managed, live.managed.effective, id_))
    note(f"api_keys.{id_}")


async def rotate(state: AdminState, id_: str, body: dict[str, Any], note: Note) -> dict[str, Any]:
    """Give a client another key, which is in what is returned here only; the old ones end after ``grace``.
    ``body``: a `Rotation`. Raises `AdminError`."""
    live = state.live
    _check_known(live, id_)
    wanted = _rotation(body)
    secret = wanted.key.get_secret_value() if wanted.key is not None else new_secret()
    until = time.time() + wanted.grace
    await _apply(
        state, lambda managed: client_edit.rotate(managed, live.managed.effective, id_, secret, until)
    )
    note(f"api_keys.{id_}.key")
    return {**_shown(live, id_), "key": secret, "previous_valid_until": rfc3339(until)}


def _rotation(body: dict[str, Any]) -> Rotation:
    try:
        return validated(Rotation, body)
    except ConfigError as error:
        raise AdminError(_INVALID, "This is not valid.", details=told(error.errors)) from None


async def _apply(state: AdminState, step: Callable[[Managed], Managed]) -> None:
    """Make a change of clients. Raises `AdminError`."""
    try:
        await apply(state, step, invalid=_INVALID)
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


def _check_known(live: Live, id_: str) -> None:
    if id_ not in live.managed.clients:
        raise AdminError(404, f"There is no client {quoted(id_)}.")


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
        "changes": _changes(client),
        "expired": ends is not None and ends.timestamp() <= now,
        "created_at": None if created is None else rfc3339(created),
        "keys": [
            {"id": f"c-{key.digest[:8]}", "valid_until": None if key.until is None else rfc3339(key.until)}
            for key in client.keys
            if key.until is None or key.until > now
        ],
    }


def _changes(client: KnownClient) -> list[str]:
    """What is set here of one of the file's."""
    if client.source == "api" or client.made_of is None:
        return []
    settings, keys = client.made_of.settings, client.made_of.keys
    return [*(map(render, leaves(settings)) if settings else ()), *(["key"] if keys else ())]
