"""The providers and their keys: how they stand, and all that can be done about it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from aiohttp import web

from gateway.admin import provider_keys, providers
from gateway.admin.errors import AdminError
from gateway.admin.pages.faults import faults_by_field
from gateway.admin.pages.flash import see_other
from gateway.admin.pages.forms import FORM
from gateway.admin.pages.page import Page, Section
from gateway.admin.pages.render import whole
from gateway.admin.pages.show import shown
from gateway.admin.query import Query
from gateway.admin.state import ADMIN, note_change

EVERY = 2.0
_ADDRESS = "/ui/providers"
_MAX_MODEL = 256


async def listing(request: web.Request) -> Page:
    """Every provider with its keys, or those of which a key is not as it should be."""
    show = Query(request, "show").choice("show", ("all", "trouble"), "all")
    services = await providers.listing(request.app[ADMIN])
    troubled = [service for service in services if any(key["state"] != "active" for key in service["keys"])]
    choices = [
        (f"All {len(services)}", _ADDRESS, show == "all"),
        (f"In trouble {len(troubled)}", f"{_ADDRESS}?show=trouble", show == "trouble"),
    ]
    values = {"services": services if show == "all" else troubled, "choices": choices}
    return Page("providers.html", values, every=EVERY)


async def provider(request: web.Request) -> Page:
    """One provider: everything there is to know of its keys."""
    Query(request)
    return await _provider(request)


async def post_provider(request: web.Request) -> web.Response:
    """Try its keys, or add one: the page again, with how that went."""
    doing = {"test": _try, "add": _add}.get(request[FORM].get("do", ""))
    if doing is None:
        raise AdminError(400, "This form is none of this page's.")
    return await doing(request)


async def post_key(request: web.Request) -> web.Response:
    """Do one thing with one key, and go back to where that was wanted."""
    state, note = request.app[ADMIN], partial(note_change, request)
    provider, key, action = (request.match_info[name] for name in ("id", "key", "action"))
    match action:
        case "reset":
            await providers.reset(state, provider, key, note)
            done = "is as new: its cool-downs, rejections and open circuits are forgotten"
        case "remove":
            await provider_keys.remove(state, provider, key, note)
            done = "is removed"
        case _:
            await providers.switch(state, provider, key, note, on=action == "enable")
            done = (
                "is used again" if action == "enable" else "is used no longer; what is in flight on it ends"
            )
    back = _ADDRESS if request[FORM].get("from") == "list" else f"{_ADDRESS}/{provider}"
    return see_other(request, back, f"The key {key} of {provider} {done}.")


async def _try(request: web.Request) -> web.Response:
    state, form, id = request.app[ADMIN], request[FORM], request.match_info["id"]
    model = form.get("model") or providers.default_model(state, id)
    if not model or len(model) > _MAX_MODEL:
        return await _again(request, {"model": f"Name a model, in at most {_MAX_MODEL} characters."})
    results = await providers.test(state, id, model, form.get("key") or None)
    return await whole(request, await _provider(request, results=results, model=model))


async def _add(request: web.Request) -> web.Response:
    form, provider = request[FORM], request.match_info["id"]
    note = partial(note_change, request)
    try:
        id, secret = form.get("id", "").strip(), form.get("key", "").strip()
        key = await provider_keys.add(request.app[ADMIN], provider, id, secret, note)
    except AdminError as error:
        return await _again(request, faults_by_field(error, ("id", "key")), error.status)
    return see_other(request, f"{_ADDRESS}/{provider}", f"{provider} has the key {key} now.")


async def _again(request: web.Request, errors: Mapping[str, str], status: int = 400) -> web.Response:
    """The page, with what is wrong beside the fields."""
    return await whole(request, await _provider(request, errors=errors, status=status))


async def _provider(
    request: web.Request,
    *,
    results: list[dict[str, Any]] | None = None,
    model: str | None = None,
    errors: Mapping[str, str] | None = None,
    status: int = 200,
) -> Page:
    state, id = request.app[ADMIN], request.match_info["id"]
    service = await providers.one(state, id)
    values = {
        "service": service,
        "model": model or service["model"] or "",
        "results": results,
        "errors": errors or {},
        "given": request.get(FORM, {}),
        "sealing": state.live.managed.vault.seals,
    }
    return Page("provider.html", values, status, every=EVERY)


section = Section(
    "Providers",
    "/providers",
    (
        web.get("/providers", shown(listing)),
        web.get("/providers/{id}", shown(provider)),
        web.post("/providers/{id}", post_provider),
        web.post("/providers/{id}/keys/{key}/{action:enable|disable|reset|remove}", post_key),
    ),
)
