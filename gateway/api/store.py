"""What a store plugin is: shared memory for windows, cool-downs and usage records, in verbs of our domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from gateway.api.record import Record


@dataclass(frozen=True, slots=True)
class Limits:
    """What a key or client may use; 0 means no limit."""

    requests: int = 0
    """Requests in any 60 seconds."""
    tokens: int = 0
    """Tokens in any 60 seconds."""
    parallel: int = 0
    """Requests in flight."""
    session: int = 0
    """Tokens in any ``session_seconds``."""
    session_seconds: float = 3600.0


class Reading(NamedTuple):
    """Where one window stands: what response headers and dashboards show."""

    kind: str
    """``requests``, ``tokens``, ``session`` or ``parallel``."""
    limit: int
    used: int
    reset: float
    """Seconds until the window would be empty if nothing more came."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reservation that was not granted."""

    kind: str
    """The window that refused: as in `Reading`."""
    limit: int
    retry_after: float
    """Seconds until the same reservation would be granted if nothing else came (parallel: a guess of 1)."""


class Meter(Protocol):
    """One subject's windows, as this process knows them. Shares may be read without a call
    while ``loop time < valid_until``; past it, call `refresh` first."""

    subject: str
    """``key:PROVIDER_ID/KEY_ID`` or ``client:ID``."""
    limits: Limits
    request_share: float
    """Used part of the request window, 0 to 1 and beyond; 0 without a limit."""
    token_share: float
    """Used part of the fuller token window (minute or session)."""
    in_flight: int
    valid_until: float
    """Monotonic seconds (`time.monotonic`)."""
    cooled_until: float
    """Monotonic seconds until which the subject is not to be used; 0 if never cooled."""

    def refresh(self, now: float) -> None:
        """Let windows slide to ``now`` (monotonic seconds)."""

    def readings(self) -> list[Reading]:
        """Every window that has a limit, as of now."""


class Reservation(Protocol):
    """A granted place in a subject's windows, to be settled exactly once."""

    meter: Meter
    tokens: int


class Store(Protocol):
    """Its dataclass fields are its settings. One instance serves the whole process."""

    shared: bool
    """Whether several processes see the same windows through it."""

    async def open(self) -> None:
        """Connect, create, migrate. Raises `OSError` with a message for the operator."""

    async def close(self) -> None:
        """Flush and let go."""

    def meter(self, subject: str, limits: Limits) -> Meter:
        """The one meter of ``subject``; called again with other limits (reload) it keeps what was used."""

    async def reserve(self, meter: Meter, tokens: int, *, force: bool = False) -> Reservation | Refusal:
        """Take one request, ``tokens`` and one parallel slot: all or nothing. A refusal counts nothing.

        An estimate above a token limit is taken as that limit: alone in its window, any request fits.
        ``force`` counts the reservation even beyond the limits (``on_exhausted: burst``).
        """

    async def settle(self, reservation: Reservation, tokens: int) -> None:
        """Replace the estimate by the true figure and free the slot. A second call does nothing."""

    async def release(self, reservation: Reservation) -> None:
        """Undo a reservation whose request was never made: nothing of it counts. In place of `settle`."""

    async def cool(self, meter: Meter, seconds: float) -> None:
        """Keep the subject from being used for ``seconds``; a longer one stays. 0 lifts it."""

    async def append(self, records: Sequence[Record]) -> None:
        """Keep usage records; one whose ``request_id`` and ``time`` are known already is not doubled."""

    async def recent(self, limit: int) -> list[Record]:
        """The newest records, newest first."""
