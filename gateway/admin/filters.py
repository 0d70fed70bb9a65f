"""Which usage records are meant, as the query of a call says it."""

from __future__ import annotations

from dataclasses import replace

from gateway.admin.errors import AdminError
from gateway.admin.query import Query
from gateway.api import Filter
from gateway.api.ledger import DIMENSIONS
from gateway.request.errors import quoted

RANGE = ("start", "end")
CHOSEN_BY = (*DIMENSIONS, "status", "error", "slower_than_ms", "dearer_than_usd")


def read_range(query: Query) -> Filter:
    """``start`` and ``end``, of which either may be open. Raises `AdminError` 400."""
    start, end = query.moment("start"), query.moment("end")
    if start is not None and end is not None and end < start:
        raise AdminError(400, "end: is before start.")
    return Filter(start=start, end=end)


def by_names(query: Query, span: Filter) -> Filter:
    """``span`` narrowed to the client, provider, key and model that are asked for."""
    return replace(
        span,
        client=query.text("client"),
        provider=query.text("provider"),
        key=query.text("key"),
        model=query.text("model"),
    )


def chosen(query: Query, span: Filter) -> Filter:
    """``span`` narrowed by all of `CHOSEN_BY`. Raises `AdminError` 400."""
    slower, dearer = query.decimal("slower_than_ms"), query.decimal("dearer_than_usd")
    return replace(
        by_names(query, span),
        status=_status(query.text("status")),
        error=query.text("error"),
        slower_than_ms=None if slower is None else float(slower),
        dearer_than_nano=None if dearer is None else int(dearer * 10**9),
    )


def _status(text: str | None) -> int | None:
    """A status, or a class of them: ``404``, ``4`` or ``4xx``."""
    if text is None:
        return None
    digits = text.lower().removesuffix("xx")
    if not (digits.isascii() and digits.isdecimal() and len(digits) in (1, 3)):
        raise AdminError(400, f"status: must be like 404 or 4xx (got {quoted(text)}).")
    return int(digits)
