"""Asking an authority over windows, and giving up in time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.api import StoreUnavailable
from gateway_stores.windows.quota import Answer, Ask, Authority

_LOOKS = 5
"""So often one looks for the answers; from one look to the next the process may stand still for any time."""


async def answers(authority: Authority, asks: Sequence[Ask], patience: float) -> Sequence[Answer]:
    """One answer for each ask, within ``patience`` seconds. Those for which this process stood still do not
    count: it was stopped, or had no processor, and the answers may be there as it goes on.
    Raises `TimeoutError`, `StoreUnavailable`, or whatever else the authority raises."""
    exchange = asyncio.create_task(_exchange(authority, asks))
    try:
        for _ in range(_LOOKS):
            await asyncio.wait({exchange}, timeout=patience / _LOOKS)
            if exchange.done():
                return exchange.result()
        raise TimeoutError
    finally:
        exchange.cancel()
        exchange.add_done_callback(lambda late: late.cancelled() or late.exception())


async def _exchange(authority: Authority, asks: Sequence[Ask]) -> Sequence[Answer]:
    found = await authority.exchange(asks)
    if len(found) != len(asks):
        raise StoreUnavailable("it did not answer every question")
    return found
