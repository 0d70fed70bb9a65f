"""One request: every field of its record, its attempts in time, and what it cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from gateway.admin import requests
from gateway.admin.pages.page import Page
from gateway.admin.query import Query
from gateway.admin.state import ADMIN

_LEAST = 0.4
"""Percent of the width that a bar has at least: what was is seen."""
_ALIKE = ("client", "provider", "key", "model", "error")
"""Fields by whose value other requests can be asked for."""

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bar:
    """A piece of the request's time; ``x`` and ``width`` are percent of the whole."""

    x: float
    width: float
    ms: float
    kind: str
    """``ok`` or ``bad``: an attempt; ``own``: the gateway's own time; ``wait``: none of these."""
    attempt: Json | None = None


async def one(request: web.Request) -> Page:
    """The page, by the record's id or the request's."""
    Query(request)
    record = await requests.one(request.app[ADMIN], request.match_info["id"])
    alike = [
        (name, f"/ui/requests?{urlencode({name: record[name]}, errors='replace')}")
        for name in _ALIKE
        if record[name]
    ]
    whole = _whole(record)
    first = record["first_token_ms"]
    values = {
        "record": record,
        "alike": dict(alike),
        "bars": list(_bars(record, whole)),
        "first_token_at": None if first is None or not whole else min(first / whole * 100, 100.0),
        "priced": any(part["price"] is not None for part in record["classes"]),
    }
    return Page("request.html", values)


def _whole(record: Json) -> float:
    """The time that the width stands for: clocks may say that attempts took longer than the request."""
    attempts: float = sum(attempt["ms"] for attempt in record["attempts"])
    return max(float(record["total_ms"]), attempts)


def _bars(record: Json, whole: float) -> Iterator[Bar]:
    """Attempts one after the other; then the gateway's own time, and what is left: waiting in the queue and
    between attempts. When these were nobody wrote down, so they stand at the end."""
    if not whole:
        return
    pieces: list[tuple[float, str, Json | None]] = [
        (attempt["ms"], "ok" if attempt["outcome"] == "ok" else "bad", attempt)
        for attempt in record["attempts"]
    ]
    own = min(record["overhead_ms"], whole - sum(ms for ms, *_ in pieces))
    pieces.append((max(own, 0.0), "own", None))
    left = whole - sum(ms for ms, *_ in pieces)
    if left >= 0.01 * whole:
        pieces.append((left, "wait", None))
    at = 0.0
    for ms, kind, attempt in pieces:
        width = max(ms / whole * 100, _LEAST)
        yield Bar(round(min(at, 100 - width), 3), round(width, 3), ms, kind, attempt)
        at += ms / whole * 100
