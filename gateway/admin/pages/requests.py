"""Requests: the newest as they come, narrowed down, page by page."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from aiohttp import web

from gateway.admin import requests
from gateway.admin.errors import AdminError
from gateway.admin.filters import RANGE, chosen, read_range
from gateway.admin.pages import one_request
from gateway.admin.pages.known_names import known_names
from gateway.admin.pages.page import Page, Section
from gateway.admin.pages.show import shown
from gateway.admin.query import Query
from gateway.admin.state import ADMIN
from gateway.api import Filter, StoreUnavailable
from gateway.api.ledger import DIMENSIONS

EVERY = 2.0
SHARE = 20
"""A question that takes long is asked less often: at most this part of the time goes to it."""
ROWS = 50
_ADDRESS = "/ui/requests"
_FIELDS = (*DIMENSIONS, "status", "error", "slower_than_ms", "dearer_than_usd", *RANGE)
_QUICK: tuple[tuple[str, dict[str, str]], ...] = (
    ("All", {}),
    ("Refused (4xx)", {"status": "4xx"}),
    ("Failed (5xx)", {"status": "5xx"}),
    ("Over 10 s", {"slower_than_ms": "10000"}),
    ("Over $0.10", {"dearer_than_usd": "0.1"}),
)
_CHANGED_BY_QUICK = ("status", "slower_than_ms", "dearer_than_usd")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the address asks for."""

    fields: Mapping[str, str]
    """Those that are filled in; times as browsers write them."""
    wanted: Filter
    before: str | None
    fault: tuple[str, str] = ("", "")
    """A field that cannot be meant, and why."""


async def listing(request: web.Request) -> Page:
    """The page. What is wrong with a filter is said beside it; a store that does not answer is said, too."""
    asked = _read(request)
    found, trouble, began = None, "", time.perf_counter()
    if not asked.fault[0]:
        try:
            found = await requests.page(request.app[ADMIN], asked.wanted, ROWS, asked.before)
        except StoreUnavailable:
            trouble = "The store does not answer. Records are kept, and come back with it."
        except AdminError as error:
            trouble = error.message
    took = time.perf_counter() - began
    values = {
        "asked": asked,
        "records": found["requests"] if found else [],
        "known": found is not None,
        "trouble": trouble,
        "first": _address(asked.fields) if asked.before else "",
        "next": _address(asked.fields, before=found["next"]) if found and found["next"] else "",
        "quick": _quick(asked.fields),
        "names": known_names(request.app[ADMIN]),
    }
    lives = asked.before is None and asked.wanted.end is None and not asked.fault[0]
    return Page(
        "requests.html",
        values,
        status=400 if asked.fault[0] else 200,
        every=max(EVERY, round(took * SHARE, 1)) if lives else None,
    )


def _read(request: web.Request) -> _Asked:
    query = Query(request, "before", *_FIELDS)
    fields = {name: value for name in _FIELDS if (value := query.text(name)) is not None}
    try:
        wanted = chosen(query, read_range(query))
        shown = {
            **fields,
            **{name: _local(at) for name in RANGE if (at := getattr(wanted, name)) is not None},
        }
        return _Asked(shown, wanted, query.record("before"))
    except AdminError as error:
        name, _, why = error.message.partition(": ")
        if name not in _FIELDS:
            raise
        return _Asked(fields, Filter(), None, (name, why))


def _local(moment: float) -> str:
    """A moment as browsers fill it in, in UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _address(fields: Mapping[str, str], **more: str) -> str:
    query = urlencode({**fields, **more}, errors="replace")
    return f"{_ADDRESS}?{query}" if query else _ADDRESS


def _quick(fields: Mapping[str, str]) -> list[tuple[str, str, bool]]:
    """What is often looked for, for `ui.segments`; the other filters stay."""
    kept = {name: value for name, value in fields.items() if name not in _CHANGED_BY_QUICK}
    set_now = {name: value for name, value in fields.items() if name in _CHANGED_BY_QUICK}
    return [(text, _address({**kept, **change}), change == set_now) for text, change in _QUICK]


section = Section(
    "Requests",
    "/requests",
    (web.get("/requests", shown(listing)), web.get("/requests/{id}", shown(one_request.one))),
)
