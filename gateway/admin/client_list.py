"""Some of the clients, found by what is known of them and put in order: a part at a time, however many."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.admin.clients import with_usage
from gateway.admin.pace import paced
from gateway.admin.state import AdminState
from gateway.api import Total
from gateway.config.roster import KnownClient
from gateway.runtime import Live

_Order = Callable[[Live, str, KnownClient, Total], float]


def _expiry(client: KnownClient) -> float:
    ends = client.settings.expires_at
    return math.inf if ends is None else ends.timestamp()


def _fullest(live: Live, id_: str) -> float:
    served = live.current.clients.named(id_)
    readings = served.meter.readings() if served is not None else ()
    return max((reading.used / reading.limit for reading in readings if reading.limit), default=-1.0)


_ORDERS: dict[str, _Order] = {
    "id": lambda live, id_, client, used: 0,
    "spend": lambda live, id_, client, used: -used.cost_nano,
    "requests": lambda live, id_, client, used: -used.requests,
    "errors": lambda live, id_, client, used: -used.errors,
    "fullest": lambda live, id_, client, used: -_fullest(live, id_),
    "newest": lambda live, id_, client, used: -((client.made_of and client.made_of.created_at) or 0),
    "expiry": lambda live, id_, client, used: _expiry(client),
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
    ids = await _sorted(state.live, wanted, used or {})
    start = ids.index(wanted.after) + 1 if wanted.after in ids else 0
    end = len(ids) if wanted.limit is None else start + wanted.limit
    clients = [
        with_usage(state.live, id_, used)
        async for id_ in paced(ids[start:end])
        if id_ in state.live.managed.clients  # deleted meanwhile
    ]
    return Found(clients, len(ids), ids[end - 1] if end < len(ids) else None)


async def _sorted(live: Live, wanted: Wanted, used: Mapping[str, Total]) -> list[str]:
    text, order, none = wanted.text.casefold(), _ORDERS[wanted.sort], Total()
    places = [
        (order(live, id_, client, used.get(id_, none)), id_.casefold(), id_)
        async for id_, client in paced(live.managed.clients.items())
        if _matches(id_, client, text)
    ]
    return [id_ for *_, id_ in sorted(places)]


def _matches(id_: str, client: KnownClient, text: str) -> bool:
    return (
        text in id_.casefold()
        or text in client.settings.description.casefold()
        or any(text in f"c-{key.digest[:8]}" for key in client.keys)
    )
