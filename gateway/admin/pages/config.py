"""The configuration: what is in force and where from, what was set here, and changing it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web

from gateway.admin import config
from gateway.admin.errors import AdminError
from gateway.admin.pages import policy
from gateway.admin.pages.flash import see_other
from gateway.admin.pages.forms import FORM
from gateway.admin.pages.page import Page, Section
from gateway.admin.pages.render import whole
from gateway.admin.pages.review import NOTHING, Review, review
from gateway.admin.pages.settings import SOURCES, Setting, in_force, narrowed, page_of, set_here
from gateway.admin.pages.show import shown
from gateway.admin.query import Query
from gateway.admin.state import ADMIN, note_change, note_question
from gateway.admin.stream import wants_events
from gateway.config.editing import nested, written

EVERY = 2.0
_ADDRESS = "/ui/config"


@dataclass(frozen=True, slots=True)
class _Edit:
    """What somebody is about to change."""

    text: str = ""
    review: Review = NOTHING
    policy: Mapping[str, str] | None = None
    """What the policy's form holds; None: what is in force."""
    trouble: str = ""
    """Why it was not done."""


async def get_config(request: web.Request) -> Page:
    """All of it; with ``edit`` one setting to begin with in the editor."""
    return await _page(request, _Edit())


async def post_review(request: web.Request) -> web.Response:
    """What the text would change, or what is wrong with it; nothing is changed."""
    note_question(request)
    text = request[FORM].get("patch", "")
    found = await review(request.app[ADMIN], text)
    if request.headers.get("x-part") == "review":
        return await whole(request, Page("review.html", {"review": found, "trouble": ""}))
    return await whole(request, await _page(request, _Edit(text, found)))


async def post_policy(request: web.Request) -> web.Response:
    """The same for what the policy's form would change: it is put in the editor."""
    note_question(request)
    form = request[FORM]
    patch = policy.patch_of(form, config.effective(request.app[ADMIN], with_clients=False))
    if not patch:
        return see_other(request, _ADDRESS, "Nothing in the form differs from what is in force.")
    text = written(patch)
    found = await review(request.app[ADMIN], text)
    return await whole(request, await _page(request, _Edit(text, found, form)))


async def post_apply(request: web.Request) -> web.Response:
    """Apply what was looked at. What somebody else has changed since is shown first."""
    state, form = request.app[ADMIN], request[FORM]
    text, revision = form.get("patch", ""), form.get("revision", "")
    found = await review(state, text)
    if not found.valid or not found.changes:
        return await whole(request, await _page(request, _Edit(text, found), 422))
    try:
        result = await config.change(state, found.patch, partial(note_change, request), revision)
    except AdminError as error:
        await state.reloader.refresh()  # what somebody else has changed may not have come here yet
        edit = _Edit(text, await review(state, text), trouble=error.message)
        return await whole(request, await _page(request, edit, error.status))
    return _done(request, result, "Applied")


async def post_revert(request: web.Request) -> web.Response:
    """Take back one setting, or with no path all of them."""
    state, form = request.app[ADMIN], request[FORM]
    note, revision = partial(note_change, request), form.get("revision", "")
    where = form.get("path", "")
    try:
        if where:
            result = await config.revert(state, where, note, revision)
        else:
            result = await config.revert_all(state, note, revision)
    except AdminError as error:
        return see_other(request, _ADDRESS, _whole_message(error), "failed")
    return _done(request, result, f"Taken back: {where}" if where else "All is taken back")


async def post_reload(request: web.Request) -> web.Response:
    """Read the file again."""
    try:
        result = await config.reload(request.app[ADMIN])
    except AdminError:
        text = "The configuration cannot be used, and nothing has changed: see below for what is wrong."
        return see_other(request, _ADDRESS, text, "failed")
    return _done(request, result, "Read again" if result["reloaded"] else "Nothing has changed")


def _done(request: web.Request, result: Mapping[str, Any], what: str) -> web.Response:
    text = f"{what}. Version {result['config_version']} is in force."
    if waiting := result["restart_required"]:
        text += f" A restart is needed for {', '.join(waiting)}."
    if errors := result.get("errors"):
        text += f" But what is kept is not in effect: {errors[0]['path']}: {errors[0]['message']}"
    return see_other(request, _ADDRESS, text, "failed" if errors else "done")


def _whole_message(error: AdminError) -> str:
    details = error.details if isinstance(error.details, list) else []
    return " ".join([error.message, *(f"{one['path']}: {one['message']}." for one in details)])


async def _page(request: web.Request, edit: _Edit, status: int = 200) -> Page:
    state, query = request.app[ADMIN], Query(request, "search", "source", "after", "edit")
    search, source = query.text("search") or "", query.choice("source", tuple(SOURCES), "all")
    settings = [] if wants_events(request) else await asyncio.to_thread(in_force, state)
    found = narrowed(settings, search, source)
    rows, more = page_of(found, query.text("after"))
    overlay = config.overlay(state)
    values = {
        "version_in_force": state.live.current.version,
        "waiting": state.reloader.waiting,
        "overlay": overlay,
        "set_here": set_here(overlay),
        "text": edit.text or _begun(settings, query.text("edit")),
        "review": edit.review,
        "trouble": edit.trouble,
        "policy": {**policy.in_force(settings), **(edit.policy or {})},
        "fields": policy.fields(state.live.managed.known.algorithms),
        "search": search,
        "source": source,
        "sources": SOURCES,
        "rows": rows,
        "count": len(found),
        "more": more,
    }
    return Page("config.html", values, status, every=EVERY if request.method == "GET" else None)


def _begun(settings: list[Setting], name: str | None) -> str:
    """The text that sets one setting to what it is."""
    chosen = next((setting for setting in settings if setting.name == name), None)
    return written(nested(chosen.path, chosen.value)) if chosen is not None else ""


section = Section(
    "Configuration",
    "/config",
    (
        web.get("/config", shown(get_config)),
        web.post("/config/review", post_review),
        web.post("/config/policy", post_policy),
        web.post("/config/apply", post_apply),
        web.post("/config/revert", post_revert),
        web.post("/config/reload", post_reload),
    ),
)
