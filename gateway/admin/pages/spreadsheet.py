"""Tables to take along as CSV, in which nothing is a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Sequence

from aiohttp import web

Cell = str | int | float | None

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes spreadsheets compute a text that begins with it."""


async def send_csv(
    request: web.Request, name: str, columns: Sequence[str], parts: AsyncIterator[Sequence[Sequence[Cell]]]
) -> web.StreamResponse:
    """Send rows as the file ``name``, part by part."""
    response = web.StreamResponse(
        headers={
            "content-type": "text/csv; charset=utf-8",
            "content-disposition": f'attachment; filename="{name}"',
        }
    )
    await response.prepare(request)
    await response.write(_lines([columns]))
    async for rows in parts:
        await response.write(_lines(rows))
    await response.write_eof()
    return response


def cell(value: Cell) -> Cell:
    """What is put down for ``value``: text that looks like a formula is marked as text."""
    return f"'{value}" if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA) else value


def _lines(rows: Sequence[Sequence[Cell]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([cell(value) for value in row] for row in rows)
    return text.getvalue().encode("utf-8", "replace")
