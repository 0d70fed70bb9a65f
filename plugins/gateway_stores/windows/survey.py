"""How windows stand by the authority's word: for who looks at them, outside of the exchange of quota."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.api import Tally
from gateway_stores.windows.asking import answers
from gateway_stores.windows.leased_meter import LeasedMeter
from gateway_stores.windows.quota import Answer, Authority

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
            found = await answers(authority, [meter.look(holder) for meter in part], PATIENCE)
        except OSError:  # `TimeoutError` and `StoreUnavailable` are such
            break
        seen |= zip(part, found, strict=True)
    return [meter.tallies(seen.get(meter)) for meter in meters]
