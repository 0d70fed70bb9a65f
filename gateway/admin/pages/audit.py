"""Audit: who did what, and whether the log of it is whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from gateway.admin import overview
from gateway.admin.pages.page import Page, Section
from gateway.admin.pages.show import shown
from gateway.admin.query import Query
from gateway.admin.state import ADMIN

ROWS = 50
_ADDRESS = "/ui/audit"
_LATEST_OFFSET = 2**62
_WORDS = {"changes": "Changes", "all": "Reads, too"}


@dataclass(frozen=True, slots=True)
class _Line:
    """An entry as it is shown."""

    time: float | None
    caller: str
    address: str
    doing: str
    changes: Sequence[str]
    status: int
    ms: float | None


async def listing(request: web.Request) -> Page:
    """The page; with ``verify`` the chain is followed from its first line, which may take seconds."""
    query = Query(request, "only", "before", "verify")
    only = query.choice("only", tuple(_WORDS), "changes")
    before = query.whole("before", 1, _LATEST_OFFSET)
    verify = query.choice("verify", ("no", "yes"), "no") == "yes"
    state = request.app[ADMIN]
    found = await overview.audit(state, ROWS, before, changes=only == "changes")
    values = {
        "enabled": found["enabled"],
        "entries": [_line(entry) for entry in found["entries"]],
        "only": only,
        "choices": [(text, f"{_ADDRESS}?only={name}", name == only) for name, text in _WORDS.items()],
        "verified": await overview.verify(state) if verify else None,
        "first": f"{_ADDRESS}?only={only}" if before else "",
        "next": f"{_ADDRESS}?{urlencode({'only': only, 'before': found['next']})}" if found["next"] else "",
    }
    return Page("audit.html", values)


def _line(entry: Mapping[str, Any]) -> _Line:
    """The entry, whoever wrote it and whatever it holds."""
    status, ms, changes = entry.get("status"), entry.get("ms"), entry.get("changes")
    return _Line(
        time=_moment(entry.get("time")),
        caller=str(entry.get("caller") or "unknown"),
        address=str(entry.get("address") or "unknown"),
        doing=_doing(entry),
        changes=[str(change) for change in changes] if isinstance(changes, list) else [],
        status=status if isinstance(status, int) else 0,
        ms=ms if isinstance(ms, int | float) else None,
    )


def _moment(value: object) -> float | None:
    try:
        return datetime.fromisoformat(str(value)).timestamp()
    except (ValueError, OverflowError):
        return None


def _doing(entry: Mapping[str, Any]) -> str:
    """What was called, its parts filled in: ``POST /admin/v1/clients/{id}`` of ``a`` is ``… /clients/a``."""
    route = str(entry.get("route", ""))
    target = entry.get("target")
    for name, value in (target if isinstance(target, dict) else {}).items():
        route = route.replace(f"{{{name}}}", str(value))
    return f"{entry.get('method', '')} {route}"


section = Section("Audit", "/audit", (web.get("/audit", shown(listing)),))
