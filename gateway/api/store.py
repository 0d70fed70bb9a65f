"""What a store plugin is: memory for windows, usage records and answers that processes may share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from gateway.api.ledger import Dimension, Filter, Total
from gateway.api.record import Record

MONTH = 30 * 86400.0


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
    budget: int = 0
    """Nano-dollars in any ``budget_seconds``."""
    budget_seconds: float = MONTH


class Reading(NamedTuple):
    """Where one window stands: what response headers and dashboards show."""

    kind: str
    """``requests``, ``tokens``, ``session``, ``parallel`` or ``budget``."""
    limit: int
    used: int
    reset: float
    """Seconds until the window would be empty if nothing more came."""


class Tally(NamedTuple):
    """What was used of one window: by all ``counted``, and what is ``pending`` in each process."""

    kind: str
    """As in `Reading`."""
    limit: int
    counted: int
    """Used by all processes, as far as the store itself knows of it."""
    pending: int
    """Used or reserved by this process, and not ``counted`` yet; negative where it takes back what was."""
    reset: float
    """As in `Reading`."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reservation that was not granted."""

    kind: str
    """The window that refused: as in `Reading`."""
    limit: int
    retry_after: float
    """Seconds until the same reservation would be granted if nothing else came (parallel and ``pending``: a
    guess of 1)."""
    partial: bool = False
    """The whole limit had room, as far as is known, but only a part of it may be used while the store is out
    of reach; ``retry_after`` says when it is worth another try."""
    pending: bool = False
    """There would be room but for what requests in flight have reserved: nobody knows how much of it they
    will use."""


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
    """Requests of this process."""
    valid_until: float
    """Monotonic seconds (`time.monotonic`)."""
    cooled_until: float
    """Monotonic seconds until which the subject is not to be used; 0 if never cooled. Kept for the core,
    which sets it: a store does not look at it."""

    def refresh(self, now: float) -> None:
        """Let windows slide to ``now`` (monotonic seconds)."""

    def readings(self) -> list[Reading]:
        """Every window that has a limit, as of now."""


class Reservation(Protocol):
    """A granted place in a subject's windows, to be settled or released once; the rest is its store's own."""

    @property
    def meter(self) -> Meter:
        """Whose windows it is in."""


class StoreUnavailable(OSError):
    """The store cannot be reached, or not in time. The message is for the operator: no secrets."""


class TooOld(Exception):
    """Usage records from before others that were pruned: whether they were counted and pruned as well nobody
    can know, so they were not counted (again)."""

    def __init__(self, records: Sequence[Record]) -> None:
        super().__init__(f"{len(records)} usage records are older than what was pruned")
        self.records = records


class Trouble(NamedTuple):
    """What is wrong with a store that does not work as it should."""

    message: str
    """For the operator: what is wrong, where, and what to do; without secrets."""
    since: float
    """Seconds since the epoch; 0 where nobody knows."""
    limits: bool = False
    """Limits cannot be checked: `Site.on_trouble` rules. Of several troubles a store tells one such."""


def _uncounted(operation: str) -> None:
    pass


def _unheard(name: str, value: str, seconds: float) -> None:
    pass


@dataclass(slots=True)
class Site:
    """Where a store runs: what the core tells it, and what it may tell the core."""

    holder: str = "alone"
    """Names this process among all that share the store; another one after each start."""
    workers: int = 1
    """Processes of this gateway."""
    on_trouble: Literal["local", "closed", "open"] = "local"
    """The store lost: admit a safe share of each limit, raise `StoreUnavailable`, or admit everything."""
    cache_entries: int = 10_000
    """How many cached answers to keep; may change while the store is open."""
    cache_bytes: int = 256 * 1024 * 1024
    """How much memory or room on disk cached answers may take together."""
    folder: Path | None = None
    """Where to keep, in files with names of the store's own, what it must know at a start without what is
    behind it; the gateway's processes share it, and it may not be there yet. None: there is no such place."""
    supervises: bool = False
    """This process serves no requests: it answers for the workers (see `Hosting`)."""
    ask: Callable[[bytes], Awaitable[bytes]] | None = None
    """In a worker: sends a message to the supervisor's instance, which `Hosting.answer` s it.
    Raises `StoreUnavailable`. None where this is the only process."""
    failed: Callable[[str], None] = _uncounted
    """To be called with the name of an operation that failed (``reserve``, ``append``, …): it is counted."""
    heard: Callable[[str, str, float], None] = _unheard
    """To be called, on the event loop, for each fact that another process shared: name, value, seconds left;
    also, while `Store.open` runs, for each that still holds."""


class Store(Protocol):
    """Its dataclass fields are its settings. One instance serves the whole process.

    `meter`, `reserve`, `settle`, `release` and `share` never raise for trouble with what is behind the store
    (but `reserve` with ``on_trouble: closed``) and never wait for it longer than some milliseconds; the
    others raise `StoreUnavailable`.
    """

    shared: bool
    """Whether several processes see the same windows through it."""

    async def open(self, site: Site) -> None:
        """Connect, create, migrate. Raises `OSError` with a message for the operator where waiting would
        not help (a path that cannot be written); a server that is down is trouble, not an error.
        Raises `BlockingIOError` where another daemon uses the same files."""

    async def close(self) -> None:
        """Flush and let go."""

    def trouble(self) -> Trouble | None:
        """None as long as all is well."""

    def meter(self, subject: str, limits: Limits) -> Meter:
        """The one meter of ``subject``; called again with other limits (reload) it keeps what was used."""

    async def reserve(
        self, meter: Meter, tokens: int, *, cost: int = 0, force: bool = False, again: float = 0.0
    ) -> Reservation | Refusal:
        """Take one request, ``tokens``, ``cost`` nano-dollars and one parallel slot: all or nothing.
        A refusal counts nothing.

        An estimate above a limit is taken as that limit: alone in its window, any request fits. One of 0 fits
        into any window, however much was used of it.
        ``force`` counts the reservation even beyond the limits (``on_exhausted: burst``).
        ``again``: if refused, the caller stays in line (``queue``) and asks again within so many seconds, so
        that a store whose processes compete for slots can give them by turns. 0: it does not.
        """

    async def settle(self, reservation: Reservation, tokens: int, cost: int = 0) -> None:
        """Replace the estimates by the true figures and free the slot. A second call does nothing."""

    async def release(self, reservation: Reservation) -> None:
        """Undo a reservation whose request was never made: nothing of it counts. In place of `settle`."""

    def share(self, name: str, value: str, seconds: float) -> None:
        """Tell all other processes a fact that holds for ``seconds``: each one's `Site.heard` is called
        within a second. A later value of the same name replaces the earlier one."""

    async def append(self, records: Sequence[Record]) -> None:
        """Keep usage records and count them in the totals; one whose ``id`` is known already is not doubled.
        All of them or, where it raises, perhaps some: the caller comes again with the same ones.

        Raises `TooOld` once all is done but for those that are unknown and not newer than what was pruned."""

    async def requests(self, filter: Filter, limit: int, before: str | None = None) -> list[Record]:
        """The newest records that match, newest first (by `Record.id`); ``before``: only those with a
        smaller id, for the next page."""

    async def request(self, id: str) -> Record | None:
        """The record with this ``id``, or else the newest with this ``request_id``."""

    async def totals(self, filter: Filter, group_by: Sequence[Dimension]) -> list[Total]:
        """One total for each combination of the dimensions' values; without dimensions one for all.

        Equal to the sum over the matching records, also after these were pruned: then a range
        is widened to whole minutes at its ends. Only `Filter.start`, ``end`` and dimensions are looked at.
        """

    async def series(
        self, filter: Filter, step: float, group_by: Sequence[Dimension] = ()
    ) -> list[tuple[float, Total]]:
        """Totals of each ``step`` seconds (whole minutes) from ``start`` to ``end``, which both must be
        given, one for each combination of the dimensions' values: the beginning of each step that is not
        empty, and its totals, all of one moment."""

    async def prune(self, requests: float, rollups: float) -> bool:
        """Forget some (a few thousand at most) of the records from before ``requests`` and of the roll-ups
        from before ``rollups``, both seconds since the epoch; whether there are more. Totals of pruned
        records stay."""

    async def cache_get(self, key: str) -> bytes | None:
        """A cached answer that has not expired."""

    async def cache_put(self, key: str, value: bytes, seconds: float) -> None:
        """Keep an answer for ``seconds``; the oldest go where there are more than `Site.cache_entries`, or
        more bytes than `Site.cache_bytes`."""


@runtime_checkable
class Hosting(Protocol):
    """A store of which the supervisor's instance keeps what the workers share. With ``Site.supervises`` it
    opens like any other; the workers' instances talk to it through `Site.ask`."""

    async def answer(self, holder: str, message: bytes) -> bytes:
        """Answer a message of the worker ``holder``."""

    def lost(self, holder: str) -> None:
        """The worker ``holder`` has ended: whatever it held is free, less what it may have used."""


@runtime_checkable
class Surveying(Protocol):
    """A store of which a process does not know at every moment what the others used. Of any other store
    `Meter.readings` are taken for the truth."""

    def tallies(self, meter: Meter) -> list[Tally]:
        """Every window of it that has a limit, as far as this process knows, by the last it heard."""

    async def survey(self, meters: Sequence[Meter]) -> list[list[Tally]]:
        """The same of many, in their order, ``counted`` being what the store knows now. It is asked once for
        many of them, and nothing is reserved. Where it does not answer: as `tallies`. For the admin API."""


class Document(NamedTuple):
    """What a configuration store keeps."""

    version: str
    """Changes with every write; empty as long as nothing was ever written."""
    data: bytes


class Conflict(Exception):
    """The document was changed by somebody else in the meantime."""


class ConfigStore(Protocol):
    """Keeps one small document: what was set through the admin API. Its dataclass fields are its settings.

    Every call raises `StoreUnavailable` where the store cannot be reached.
    """

    async def open(self) -> None:
        """As `Store.open`."""

    async def close(self) -> None:
        """Let go."""

    async def read(self) -> Document:
        """The document as it is now."""

    async def version(self) -> str:
        """The version of the document as it is now; cheap enough to be asked twice a second."""

    async def write(self, data: bytes, expected: str) -> str:
        """Replace the document if its version is still ``expected``; the new version.
        Raises `Conflict` if it is not. Never leaves half a document."""
