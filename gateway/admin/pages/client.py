"""One client: what it used, what it may, and all that can be done about it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aiohttp import web

from gateway.admin import clients, config, usage
from gateway.admin.errors import AdminError
from gateway.admin.pages import client_form
from gateway.admin.pages.faults import faults_by_field
from gateway.admin.pages.flash import see_other
from gateway.admin.pages.forms import FORM
from gateway.admin.pages.page import Page
from gateway.admin.pages.ranges import range_links, read_span
from gateway.admin.pages.render import whole
from gateway.admin.pages.show import shown
from gateway.admin.query import Query
from gateway.admin.state import ADMIN, AdminState, note_change
from gateway.api import Filter, StoreUnavailable

EVERY = 5.0
_ADDRESS = "/ui/clients"
_MEANWHILE = (
    "Somebody changed this client in the meantime, and nothing is saved yet. This is how it is now, "
    "with what you changed: look, then save."
)


@dataclass(frozen=True, slots=True)
class Draft:
    """What was filled in on the page, and what is wrong with it."""

    fields: Mapping[str, str] | None = None
    """None: the client as it is."""
    errors: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


async def one(request: web.Request) -> Page:
    """The client, with what it used."""
    return await _page(request, Draft())


async def post(request: web.Request) -> web.Response:
    """Do what one of its forms is for, and say so; or the page again, with what is wrong."""
    doing = _ACTIONS.get(request[FORM].get("do", ""))
    if doing is None:
        raise AdminError(400, "This form is none of this page's.")
    return await doing(request, request.match_info["id"], partial(note_change, request))


def check_lists(body: Mapping[str, Any]) -> None:
    """Raises `AdminError` 400 for a list that was emptied: nobody can tell whether that is all or nothing."""
    problems = [
        {"path": name, "message": "write one a line, or * for all"}
        for name in ("allowed_providers", "allowed_models")
        if body.get(name) == []
    ]
    if problems:
        raise AdminError(400, "This is not valid.", details=problems)


async def _change(request: web.Request, id: str, note: Callable[[str], None]) -> web.Response:
    state, wanted = request.app[ADMIN], client_form.filled(request[FORM])
    before = client_form.fields_of(clients.described(state, id))
    seen = client_form.read(request[FORM].get("shown", ""))
    if seen is None:
        raise AdminError(400, "This form is none of this page's.")
    if seen != before:
        fields, both = client_form.rebased(seen, wanted, before)
        return await whole(request, await _page(request, Draft(fields, {"": _MEANWHILE, **both}, 409)))
    body = client_form.changes(before, wanted)
    try:
        check_lists(body)
        if body:
            await clients.change(state, id, body, note)
    except AdminError as error:
        errors = faults_by_field(error, client_form.NAMES)
        return await whole(request, await _page(request, Draft(wanted, errors, error.status)))
    return see_other(request, _at(id), "Saved, and in force." if body else "Nothing was changed.")


async def _rotate(request: web.Request, id: str, note: Callable[[str], None]) -> web.Response:
    form = request[FORM]
    grace = client_form.duration_value(form.get("grace", "").strip() or "0")
    key = form.get("new_key", "").strip()
    body = {"grace": grace, **({"key": key} if key else {})}
    try:
        made = await clients.rotate(request.app[ADMIN], id, body, note)
    except AdminError as error:
        errors = faults_by_field(error, ("grace", "key"))
        if "key" in errors:
            errors["new_key"] = errors.pop("key")
        return await whole(request, await _page(request, Draft(None, errors, error.status)))
    until = f"is valid until {made['previous_valid_until']}" if grace else "is refused from now on"
    if key:
        return see_other(request, _at(id), f"{id} has the key that you gave. The one before {until}.")
    text = f"{id} has another key; the one before {until}. The new one is not shown again:"
    return see_other(request, _at(id), text, secret=made["key"])


async def _revoke(request: web.Request, id: str, note: Callable[[str], None]) -> web.Response:
    await clients.change(request.app[ADMIN], id, {"expires_at": int(time.time())}, note)
    return see_other(request, _at(id), f"{id} is shut out. Clear “Expires” to let it in again.")


async def _delete(request: web.Request, id: str, note: Callable[[str], None]) -> web.Response:
    await clients.remove(request.app[ADMIN], id, note)
    return see_other(
        request, _ADDRESS, f"{id} is deleted, and its keys are refused. Its usage stays in the records."
    )


async def _revert(request: web.Request, id: str, note: Callable[[str], None]) -> web.Response:
    await config.revert(request.app[ADMIN], f"api_keys/{id}", note)
    return see_other(request, _at(id), f"{id} is again as the file has it.")


_ACTIONS: Mapping[str, Callable[[web.Request, str, Callable[[str], None]], Awaitable[web.Response]]] = {
    "change": _change,
    "rotate": _rotate,
    "revoke": _revoke,
    "delete": _delete,
    "revert": _revert,
}


async def _page(request: web.Request, draft: Draft) -> Page:
    state, id = request.app[ADMIN], request.match_info["id"]
    span = read_span(Query(request, "range"))
    range_ = Filter(start=span.start, end=span.end, client=id)
    client = await clients.standing(state, id)
    shown_fields = client_form.fields_of(client)
    values = {
        "client": client,
        "span": span,
        "range_links": range_links(span),
        **await _figures(state, range_, span.step),
        "fields": draft.fields or shown_fields,
        "shown": client_form.written(shown_fields),
        "errors": draft.errors,
        "given": request.get(FORM, {}),
        "providers": list(state.live.current.catalog.services),
    }
    return Page("client.html", values, draft.status, every=EVERY)


async def _figures(state: AdminState, wanted: Filter, step: int) -> dict[str, Any]:
    """What it used, in all, by model and over time; nothing while the store cannot say."""
    try:
        models, series = await asyncio.gather(
            usage.table(state, wanted, ("provider", "model")), usage.series(state, "all", wanted, step)
        )
    except (StoreUnavailable, AdminError):
        return {"total": None, "models": [], "points": []}
    return {"total": models["total"], "models": models["rows"], "points": series["points"]}


def _at(id: str) -> str:
    return f"{_ADDRESS}/{id}"


routes = (
    web.get("/clients/{id}", shown(one)),
    web.post("/clients/{id}", post),
)
