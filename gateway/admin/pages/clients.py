"""All clients: found, put in order, taken along as CSV, and made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from gateway.admin import clients
from gateway.admin.client_list import SORTS, Wanted, find
from gateway.admin.errors import AdminError
from gateway.admin.ledger import dollars
from gateway.admin.overview import anonymous_access
from gateway.admin.pages import client, client_form
from gateway.admin.pages.faults import faults_by_field
from gateway.admin.pages.flash import see_other
from gateway.admin.pages.forms import FORM
from gateway.admin.pages.page import Page, Section
from gateway.admin.pages.ranges import RANGES, read_span
from gateway.admin.pages.render import whole
from gateway.admin.pages.show import shown
from gateway.admin.pages.spreadsheet import Cell, send_csv
from gateway.admin.query import Query
from gateway.admin.state import ADMIN, AdminState, note_change
from gateway.api import Filter, Total

EVERY = 5.0
AT_ONCE = 50
"""Clients on one page."""
_PART = 500
"""Clients that the CSV holds before other requests get their turn."""
_ADDRESS = "/ui/clients"
_COLUMNS = (
    *("id", "source", "changed", "expired", "description", "allowed_providers", "allowed_models"),
    *("req_per_min", "tokens_per_min", "max_parallel", "budget_usd", "budget_window_seconds"),
    *("budget_used_usd", "expires_at", "created_at"),
    *("requests", "errors", "input_tokens", "output_tokens", "cost_usd", "unpriced"),
)
"""Of the CSV."""


async def listing(request: web.Request) -> Page:
    """The clients that were searched for, a page of them; while the store cannot say, without their usage."""
    query = Query(request, "q", "sort", "after", "range")
    span, state = read_span(query), request.app[ADMIN]
    wanted = Wanted(query.text("q") or "", query.choice("sort", SORTS, "id"), query.text("after"), AT_ONCE)
    used = await clients.used_if_known(state, Filter(start=span.start, end=span.end))
    found = await find(state, wanted, used)
    kept = {"q": wanted.text, "sort": wanted.sort, "range": span.name}
    values = {
        "span": span,
        "wanted": wanted,
        "found": found,
        "exist": bool(state.live.managed.clients),
        "anonymous": anonymous_access(state.live),
        "ranges": [(name, f"the last {words}") for name, (_, _, words) in RANGES.items()],
        "first": f"{_ADDRESS}?{urlencode(kept)}" if wanted.after else "",
        "next": f"{_ADDRESS}?{urlencode({**kept, 'after': found.next})}" if found.next else "",
        "csv": f"{_ADDRESS}.csv?{urlencode({'q': wanted.text, 'range': span.name})}",
    }
    return Page("clients.html", values, every=EVERY)


async def get_csv(request: web.Request) -> web.StreamResponse:
    """All clients that were searched for, by their ids."""
    query = Query(request, "q", "range")
    span, state = read_span(query), request.app[ADMIN]
    used = await clients.used(state, Filter(start=span.start, end=span.end))
    parts = _rows(state, Wanted(query.text("q") or "", limit=_PART), used)
    return await send_csv(request, "coo-llm-clients.csv", _COLUMNS, parts)


async def get_new(request: web.Request) -> Page:
    """The form of a client that is yet to be made."""
    Query(request)
    return _new(request, client_form.blank(), {})


async def post_new(request: web.Request) -> web.Response:
    """Make it, and show its key on its own page; or the form again, with what is wrong."""
    form = request[FORM]
    wanted = client_form.filled(form)
    body = client_form.changes(client_form.blank(), wanted)
    body |= {name: given for name in ("id", "key") if (given := form.get(name, "").strip())}
    try:
        client.check_lists(body)
        made = await clients.create(request.app[ADMIN], body, partial(note_change, request))
    except AdminError as error:
        errors = faults_by_field(error, ("id", "key", *client_form.NAMES))
        return await whole(request, _new(request, wanted, errors, error.status))
    at, id = f"{_ADDRESS}/{made['id']}", made["id"]
    if "key" in body:
        return see_other(request, at, f"The client {id} is made, with the key that you gave.")
    text = f"The client {id} is made. This is its key. It is kept as a hash only and not shown again:"
    return see_other(request, at, text, secret=made["key"])


def _new(
    request: web.Request, fields: Mapping[str, str], errors: Mapping[str, str], status: int = 200
) -> Page:
    values = {
        "fields": fields,
        "errors": errors,
        "given": request.get(FORM, {}),
        "providers": list(request.app[ADMIN].live.current.catalog.services),
    }
    return Page("new_client.html", values, status)


async def _rows(
    state: AdminState, wanted: Wanted, used: Mapping[str, Total]
) -> AsyncIterator[Sequence[Sequence[Cell]]]:
    while True:
        found = await find(state, wanted, used)
        yield [_row(one) for one in found.clients]
        if found.next is None:
            return
        wanted = replace(wanted, after=found.next)


def _row(client: Mapping[str, Any]) -> list[Cell]:
    limits, budget, usage = client["limits"], client["budget"], client["usage"]
    spent = client["windows"].get("budget", {}).get("used")
    flags = ["yes" if client[name] else "no" for name in ("changed", "expired")]
    return [
        *(client["id"], client["source"], *flags, client["description"]),
        *(" ".join(client[name]) for name in ("allowed_providers", "allowed_models")),
        *(limits[name] for name in ("req_per_min", "tokens_per_min", "max_parallel")),
        *(f"{Decimal(repr(budget['usd'])).normalize():f}", budget["window"], _exact(spent)),
        *(client[name] for name in ("expires_at", "created_at")),
        *(usage[name] for name in ("queries", "errors", "input_tokens", "output_tokens")),
        *(_exact(usage["cost_nano_usd"]), usage["unpriced"]),
    ]


def _exact(nano: int | None) -> str | None:
    return None if nano is None else f"{dollars(nano):f}"


section = Section(
    "Clients",
    "/clients",
    (
        web.get("/clients", shown(listing)),
        web.get("/clients.csv", get_csv),
        web.get("/clients/+new", shown(get_new)),
        web.post("/clients/+new", post_new),
        *client.routes,
    ),
)
