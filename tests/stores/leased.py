"""A store whose windows are leased from an authority in the same process; all else is the memory store's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gateway.api import Limits, Meter, Refusal, Reservation, Site, Trouble
from gateway_stores.memory import MemoryStore
from gateway_stores.windows.authority import WindowAuthority
from gateway_stores.windows.census import Census
from gateway_stores.windows.leases import LeasedWindows
from gateway_stores.windows.quota import Answer, Ask

EPOCH = float(2**30)
"""The authority's time is another one than the holders'."""


@dataclass(eq=False)
class NearAuthority:
    """An authority within reach: it answers at once, unless told to fail."""

    windows: WindowAuthority
    clock: Callable[[], float]
    asks: int = 0
    exchanges: int = 0
    uses: int = 0
    """So many figures were reported, some of them perhaps twice."""
    delay: Callable[[], Awaitable[None]] | None = None
    """Awaited before an exchange; may raise."""
    instead: Answer | None = None
    """What every ask is answered with in place of the truth."""

    async def exchange(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        self.asks += len(asks)
        self.exchanges += 1
        self.uses += sum(len(ask.uses) for ask in asks)
        if self.delay is not None:
            await self.delay()
        if self.instead is not None:
            return [self.instead] * len(asks)
        return self.windows.exchange(asks, EPOCH + self.clock())


class LeasedStore(MemoryStore):
    """What a store does with `LeasedWindows`."""

    def __init__(
        self, windows: WindowAuthority, clock: Callable[[], float], census: Census | None = None
    ) -> None:
        super().__init__()
        self.__post_init__()
        self.shared = True
        self.clock = clock
        self.authority = NearAuthority(windows, clock)
        self.windows = LeasedWindows(self.authority, clock, "the test's authority", census)

    async def open(self, site: Site) -> None:
        await self.windows.open(site)

    async def close(self) -> None:
        await self.windows.close()

    def trouble(self) -> Trouble | None:
        return self.windows.trouble()

    def meter(self, subject: str, limits: Limits) -> Meter:  # type: ignore[override]
        return self.windows.meter(subject, limits)

    async def reserve(
        self, meter: Meter, tokens: int, *, cost: int = 0, force: bool = False, again: float = 0.0
    ) -> Reservation | Refusal:
        return await self.windows.reserve(meter, tokens, cost=cost, force=force, again=again)

    async def settle(self, reservation: Reservation, tokens: int, cost: int = 0) -> None:
        await self.windows.settle(reservation, tokens, cost)

    async def release(self, reservation: Reservation) -> None:
        await self.windows.release(reservation)
