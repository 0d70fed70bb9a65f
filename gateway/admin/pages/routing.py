"""The routing dry run: which key a request would go to, and why; nothing is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from gateway.admin import dry_run
from gateway.admin.errors import AdminError
from gateway.admin.pages.known_names import known_names
from gateway.admin.pages.page import Page
from gateway.admin.pages.show import shown
from gateway.admin.query import Query
from gateway.admin.state import ADMIN

MOST = 100
"""Candidates that are shown."""
_FIELDS = ("model", "client", "input_tokens", "max_tokens", "stream")
TERMS = {
    "req_ratio": "request window",
    "token_ratio": "token window",
    "error_score": "errors",
    "latency": "latency",
    "cost_ratio": "cost",
    "in_flight": "requests in flight",
    "headroom": "headroom",
    "turn": "turn",
    "affinity": "affinity",
}
"""The terms of our own algorithms, in words."""


async def dry(request: web.Request) -> Page:
    """The form, and what it comes to. What is wrong is said beside its field."""
    query, fault, found = Query(request, *_FIELDS), ("", ""), None
    fields = {name: value for name in _FIELDS if (value := query.text(name)) is not None}
    if "model" in fields:
        try:
            found = await dry_run.route(request.app[ADMIN], request, _body(query))
        except AdminError as error:
            fault = _placed(error)
    values = {
        "fields": fields,
        "fault": fault,
        "found": found,
        "highest": _highest(found["candidates"]) if found else 1.0,
        "chosen": _first_usable(found["candidates"]) if found and found["chosen"] else None,
        "most": MOST,
        "terms": TERMS,
        "names": known_names(request.app[ADMIN]),
    }
    return Page("routing.html", values, status=400 if fault[0] else 200)


def _body(query: Query) -> dict[str, Any]:
    """What the API takes. Raises `AdminError` 400."""
    body: dict[str, Any] = {
        "model": query.text("model"),
        "stream": query.choice("stream", ("no", "yes"), "no") == "yes",
    }
    body |= {name: value for name in ("client",) if (value := query.text(name)) is not None}
    for name in ("input_tokens", "max_tokens"):
        if (number := query.whole(name, 0 if name == "input_tokens" else 1, dry_run.MAX_TOKENS)) is not None:
            body[name] = number
    return body


def _placed(error: AdminError) -> tuple[str, str]:
    """The field that it is about, and what is wrong."""
    field, _, why = error.message.partition(": ")
    if field in _FIELDS:
        return field, why
    return "client" if error.status == 404 else "model", error.message


def _highest(candidates: Sequence[Mapping[str, Any]]) -> float:
    """Of all terms, for bars that can be compared."""
    return max((term for one in candidates for term in one["terms"].values()), default=0.0) or 1.0


def _first_usable(candidates: Sequence[Mapping[str, Any]]) -> int | None:
    return next((place for place, one in enumerate(candidates) if one["usable"]), None)


routes = (web.get("/models/route", shown(dry)),)
