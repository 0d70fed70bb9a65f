"""What every store with an authority over shared windows says of them: its leases decide."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from gateway.api import Limits, Meter, Refusal, Reservation, Tally
from gateway_stores.windows.leased_meter import LeasedMeter
from gateway_stores.windows.leases import LeasedWindows


class Leasing:
    """The part of `gateway.api.Store` that is about windows, and `Surveying`; a store of this kind says which
    are its own."""

    @cached_property
    def _windows(self) -> LeasedWindows:
        raise NotImplementedError

    def meter(self, subject: str, limits: Limits) -> Meter:
        """The one meter of ``subject`` in this process."""
        return self._windows.meter(subject, limits)

    async def reserve(
        self, meter: Meter, tokens: int, *, cost: int = 0, force: bool = False, again: float = 0.0
    ) -> Reservation | Refusal:
        """All or nothing, mostly from what this process holds already."""
        return await self._windows.reserve(meter, tokens, cost=cost, force=force, again=again)

    async def settle(self, reservation: Reservation, tokens: int, cost: int = 0) -> None:
        """Replace the estimates by the true figures; a second call does nothing."""
        await self._windows.settle(reservation, tokens, cost)

    async def release(self, reservation: Reservation) -> None:
        """Undo a reservation whose request was never made."""
        await self._windows.release(reservation)

    def tallies(self, meter: Meter) -> list[Tally]:
        """How its windows stand, as far as this process knows."""
        return _leased(meter).tallies()

    async def survey(self, meters: Sequence[Meter]) -> list[list[Tally]]:
        """The same by the authority's word, many at once."""
        return await self._windows.survey([_leased(meter) for meter in meters])


def _leased(meter: Meter) -> LeasedMeter:
    assert isinstance(meter, LeasedMeter)
    return meter
