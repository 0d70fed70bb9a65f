"""How windows stand by the authority's word: for who looks at them, outside of the exchange of quota."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.api import Tally
from gateway_stores.leased_meter import LeasedMeter
from gateway_stores.quota import Answer, Authority

AT_ONCE = 100
"""Subjects in one exchange: requests wait for the authority meanwhile."""
PATIENCE = 1.0
"""Seconds for one exchange."""


async def survey(authority: Authority, holder: str, meters: Sequence[LeasedMeter]) -> list[list[Tally]]:
    """Every window of ``meters``; those that the authority says nothing of as they were last heard of."""
    limited = [meter for meter in meters if meter.limited]
    seen: dict[LeasedMeter, Answer] = {}
    for start in range(0, len(limited), AT_ONCE):
        part = limited[start : start + AT_ONCE]
        try:
            async with asyncio.timeout(PATIENCE):
                answers = await authority.exchange([meter.look(holder) for meter in part])
        except OSError:  # `TimeoutError` and `StoreUnavailable` are such
            break
        seen |= zip(part, answers, strict=False)
    return [meter.tallies(seen.get(meter)) for meter in meters]
