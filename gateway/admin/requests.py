"""Recent usage records: a list with pages, one of them, and all as they come."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import replace
from typing import Any

from gateway.admin.costs import parts
from gateway.admin.errors import AdminError
from gateway.admin.ledger import ask, record_json
from gateway.admin.pace import paced
from gateway.admin.state import AdminState
from gateway.api import Filter
from gateway.request.errors import quoted

_AT_ONCE = 500
"""Records that a stream looks at with each poll: all that are new, unless there are more."""
_LONGEST = 3600.0
"""Seconds that a request may have taken which a stream still shows: its id is of its admission."""
_AHEAD = 60.0
"""Seconds by which another gateway's clock may be ahead of ours. What is from later than that was admitted
while a clock was wrong: it would be the newest until then."""
_REMEMBERED = 10 * _AT_ONCE


async def page(
    state: AdminState, wanted: Filter, limit: int = 100, before: str | None = None
) -> dict[str, Any]:
    """The newest records, newest first, and what to give as ``before`` for the next page."""
    records = await ask(state, lambda: state.live.store.requests(wanted, limit, before))
    return {
        "requests": [record_json(record) async for record in paced(records)],
        "next": records[-1].id if len(records) == limit else None,
    }


async def one(state: AdminState, id: str) -> dict[str, Any]:
    """One record with its attempts and what it cost by class, by its id or its request id.
    Raises `AdminError` 404."""
    record = await ask(state, lambda: state.live.store.request(id))
    if record is None:
        raise AdminError(404, f"There is no request {quoted(id)}, or it is no longer kept.")
    return {**record_json(record), **parts(state, record)}


class Tail:
    """The records of all processes as they come: the store is asked again and again, as it knows them."""

    def __init__(self, state: AdminState, wanted: Filter) -> None:
        self._state = state
        self._wanted = wanted
        self._known: OrderedDict[str, None] = OrderedDict()
        self.gap = False
        """There were more the last time than can be shown."""

    async def news(self) -> list[dict[str, Any]]:
        """The records that were not there the last time, oldest first. Raises as `ask` does."""
        now = time.time()
        wanted = replace(self._wanted, start=now - _LONGEST, end=now + _AHEAD)
        found = await ask(self._state, lambda: self._state.live.store.requests(wanted, _AT_ONCE))
        news = [record for record in reversed(found) if record.id not in self._known]
        self._known.update(dict.fromkeys(record.id for record in news))
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        self.gap = len(news) == _AT_ONCE
        return [record_json(record) async for record in paced(news)]
