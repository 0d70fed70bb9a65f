"""Windows shared by processes: what the stores delegate to, on top of an `Authority`."""

from __future__ import annotations

import time
from collections.abc import Callable

from gateway.api import Limits, Meter, Refusal, Reservation, Site, Trouble
from gateway_stores.quota import Authority


class LeasedWindows:
    """Implements what `gateway.api.Store` says of windows, for every store that has an authority.

    A store makes one when it is made, and hands on `open`, `close`, `meter`, `reserve`, `settle`, `release`
    and `trouble`. ``name`` says in messages to the operator where the authority is (``redis at cache:6379``).
    """

    def __init__(
        self, authority: Authority, clock: Callable[[], float] = time.monotonic, name: str = "the store"
    ) -> None:
        raise NotImplementedError

    async def open(self, site: Site) -> None:
        """Begin to exchange quota in the background. Waits for nothing."""
        raise NotImplementedError

    async def close(self) -> None:
        """Report what was used and give everything back, within a second."""
        raise NotImplementedError

    def trouble(self) -> Trouble | None:
        """What is wrong with the authority, if something is."""
        raise NotImplementedError

    def meter(self, subject: str, limits: Limits) -> Meter:
        """As `Store.meter`."""
        raise NotImplementedError

    async def reserve(
        self, meter: Meter, tokens: int, *, cost: int = 0, force: bool = False
    ) -> Reservation | Refusal:
        """As `Store.reserve`. Raises `StoreUnavailable` with ``on_trouble: closed``."""
        raise NotImplementedError

    async def settle(self, reservation: Reservation, tokens: int, cost: int = 0) -> None:
        """As `Store.settle`."""
        raise NotImplementedError

    async def release(self, reservation: Reservation) -> None:
        """As `Store.release`."""
        raise NotImplementedError
