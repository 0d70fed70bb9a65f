"""Some of the clients, found by what is known of them and put in order: a part at a time, however many."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.admin.clients import client_windows_json, described, usage_json, windows_by_client
from gateway.admin.pace import paced
from gateway.admin.state import AdminState
from gateway.admin.windows import Windows
from gateway.api import Total
from gateway.config.roster import KnownClient

_Order = Callable[[KnownClient, Total, Windows], float]


def _expiry(client: KnownClient) -> float:
    ends = client.settings.expires_at
    return math.inf if ends is None else ends.timestamp()


def _fullest(windows: Windows) -> float:
    return max((one.used / one.limit for one in windows.values() if one.limit), default=-1.0)


_FULLEST = "fullest"
_ORDERS: dict[str, _Order] = {
    "id": lambda client, used, windows: 0,
    "spend": lambda client, used, windows: -used.cost_nano,
    "requests": lambda client, used, windows: -used.requests,
    "errors": lambda client, used, windows: -used.errors,
    _FULLEST: lambda client, used, windows: -_fullest(windows),
    "newest": lambda client, used, windows: -((client.made_of and client.made_of.created_at) or 0),
    "expiry": lambda client, used, windows: _expiry(client),
}
SORTS = tuple(_ORDERS)
"""By id, by what was used, by the fullest window, the newest first, by expiry."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which clients are asked for."""

    text: str = ""
    """Part of an id, of a description or of a key's id, in upper or lower case."""
    sort: str = "id"
    after: str | None = None
    """The id of the client after which to go on; None: from the first on."""
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of them."""

    clients: Sequence[dict[str, Any]]
    matching: int
    """All that were found, on whichever part of the list."""
    next: str | None
    """The `Wanted.after` of the following part."""


async def find(state: AdminState, wanted: Wanted, used: Mapping[str, Total] | None) -> Found:
    """The clients that are ``wanted``. ``used``: what each came to (`clients.used`), None if not known."""
    live, text = state.live, wanted.text.casefold()
    matching = {
        id_: client
        async for id_, client in paced(live.managed.clients.items())
        if _matches(id_, client, text)
    }
    windows = await windows_by_client(live, matching) if wanted.sort == _FULLEST else {}
    ids = await _sorted(matching, wanted.sort, used or {}, windows)
    start = _start(ids, wanted)
    end = len(ids) if wanted.limit is None else start + wanted.limit
    windows = windows or await windows_by_client(live, ids[start:end])
    clients = [
        {
            **described(state, id_),
            "usage": usage_json(used, id_),
            "windows": client_windows_json(windows[id_]),
        }
        async for id_ in paced(ids[start:end])
        if id_ in live.managed.clients  # deleted meanwhile
    ]
    return Found(clients, len(ids), ids[end - 1] if end < len(ids) else None)


def _start(ids: Sequence[str], wanted: Wanted) -> int:
    """Where the part begins; the client it comes after may have been deleted meanwhile."""
    if wanted.after is None:
        return 0
    if wanted.sort == "id":
        return bisect_right(ids, _place(wanted.after), key=_place)
    return ids.index(wanted.after) + 1 if wanted.after in ids else 0


def _place(id_: str) -> tuple[str, str]:
    return id_.casefold(), id_


async def _sorted(
    clients: Mapping[str, KnownClient],
    sort: str,
    used: Mapping[str, Total],
    windows: Mapping[str, Windows],
) -> list[str]:
    order, none = _ORDERS[sort], Total()
    places = [
        (order(client, used.get(id_, none), windows.get(id_, {})), _place(id_), id_)
        async for id_, client in paced(clients.items())
    ]
    return [id_ for *_, id_ in sorted(places)]


def _matches(id_: str, client: KnownClient, text: str) -> bool:
    return (
        text in id_.casefold()
        or text in client.settings.description.casefold()
        or any(text in f"c-{key.digest[:8]}" for key in client.keys)
    )
