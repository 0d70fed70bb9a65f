"""Windows shared by processes: what the stores delegate to, on top of an `Authority`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from weakref import WeakValueDictionary

from gateway.api import Limits, Meter, Refusal, Reservation, Site, StoreUnavailable, Tally, Trouble
from gateway_stores.windows.asking import answers
from gateway_stores.windows.breaker import Breaker
from gateway_stores.windows.census import Census, parts
from gateway_stores.windows.lease_rota import Rota
from gateway_stores.windows.leased_meter import LeasedMeter, Taken, Waiting
from gateway_stores.windows.meter import GUESS
from gateway_stores.windows.quota import Authority
from gateway_stores.windows.survey import survey
from gateway_stores.windows.unreported import Unreported
from gateway_stores.windows.unreported_file import UnreportedFile, Usage

PATIENCE = 0.1
"""Seconds within which the authority must have answered."""
PARTING = 1.0
"""The same of the last exchanges, for which no client waits."""
AGAIN = 0.05
"""Seconds after which to ask again where others hold what is missing."""
TRIES = 7
"""How often to ask for one reservation."""
FUTILE = 1.0
"""Seconds after somebody has waited in vain for what other processes hold, in which everybody else asks for
it once at most; they end when something is granted after all."""
MOST_ASKS = 50
"""In one exchange."""
RETRY = 5.0
"""Seconds after which to try again, at the latest, where only a part of a limit may be used."""

log = logging.getLogger(__name__)


class LeasedWindows:
    """Implements what `gateway.api.Store` says of windows, for every store that has an authority.

    A store makes one when it is made, and hands on `open`, `close`, `meter`, `reserve`, `settle`, `release`,
    `survey` and `trouble`; where it finds its server silent it calls `doubt`. ``name`` is the store's in
    messages (``redis at cache:6379``); ``census`` counts who is at it, None: this gateway's workers alone.
    """

    def __init__(
        self,
        authority: Authority,
        clock: Callable[[], float] = time.monotonic,
        name: str = "the store",
        census: Census | None = None,
    ) -> None:
        self._authority = authority
        self._clock = clock
        self._breaker = Breaker(name)
        self._census = census
        self._site = Site()
        self._meters: WeakValueDictionary[str, LeasedMeter] = WeakValueDictionary()
        """A subject that nobody refers to is forgotten once it sleeps: the authority knows the rest."""
        self._numbers = count(1)
        self._rota = Rota(clock, self._meters, MOST_ASKS)
        self._queued: dict[LeasedMeter, None] = {}
        """Those that somebody waits for."""
        self._delay = 0.0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._unreported: Unreported | None = None

    async def open(self, site: Site) -> None:
        """Begin to exchange quota in the background. Waits for nothing."""
        self._site = site
        self._task = asyncio.create_task(self._run(), name="window leases")
        if self._census is not None and site.folder is not None:
            file = UnreportedFile(site.folder, site.holder, self._clock)
            self._unreported = Unreported(file, self._clock, self._usages, lambda: self._breaker.open)
            self._unreported.open()
            for meter in list(self._meters.values()):
                self._inherit(meter)

    async def close(self) -> None:
        """Report what was used and give everything back, if that does not take long."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait({self._task})
        self._task = None
        self._decide_all()
        if not self._breaker.open:
            meters = list(self._rota.awake)
            while meters and await self._exchange(meters[:MOST_ASKS], final=True):
                del meters[:MOST_ASKS]
        if self._unreported is not None:
            await self._unreported.close()

    def trouble(self, beside: Trouble | None = None) -> Trouble | None:
        """What is wrong with the authority, or else ``beside``: with something else at its server."""
        return self._breaker.trouble(beside, (meter.limited for meter in self._meters.values()))

    def doubt(self) -> None:
        """Something else at the authority's server failed: find out how the authority is, though nobody asks
        for anything."""
        self._rota.doubted = True
        self._wake.set()

    def meter(self, subject: str, limits: Limits) -> LeasedMeter:
        """The one meter of ``subject``; other limits than before take effect on what was used."""
        meter = self._meters.get(subject)
        if meter is None:
            meter = self._meters[subject] = LeasedMeter(subject, limits, self._clock, self._numbers)
            self._inherit(meter)
        elif meter.limits != limits:
            meter.configure(limits)
        if self._rota.doubted:
            self._wake.set()
        return meter

    async def reserve(
        self, meter: Meter, tokens: int, *, cost: int = 0, force: bool = False, again: float = 0.0
    ) -> Reservation | Refusal:
        """All or nothing: at once where this process holds enough, or knows that there is nothing to be had;
        else after an exchange, or a few if the caller does not ask ``again``. Raises `StoreUnavailable` with
        ``on_trouble: closed``."""
        assert isinstance(meter, LeasedMeter)
        now = self._clock()
        if force or not meter.waiting:
            taken = meter.take(tokens, cost, now, force=force)
            if taken is not None:
                if meter.asleep and meter.limited:
                    self._rouse(meter)
                return taken
            if self._breaker.open:
                return self._in_trouble(meter, tokens, cost, now)
            if meter.fresh(now) and (refusal := meter.refusal(tokens, cost, now)) is not None:
                if not meter.may_change(tokens, cost):
                    return refusal
                # Slots come back at any moment: what was true of them a moment ago is not good enough.
                if refusal.kind != "parallel" and asyncio.get_running_loop().time() < meter.futile_until:
                    return refusal
        return await self._wait(meter, tokens, cost, again)

    async def settle(self, reservation: Reservation, tokens: int, cost: int = 0) -> None:
        """Replace the estimates by the true figures; a second call does nothing."""
        assert isinstance(reservation, Taken)
        if not reservation.settled:
            reservation.meter.settle(reservation, tokens, cost, self._clock())
            self._settled(reservation.meter)

    async def release(self, reservation: Reservation) -> None:
        """Undo a reservation whose request was never made."""
        assert isinstance(reservation, Taken)
        self._release(reservation)

    async def survey(self, meters: Sequence[LeasedMeter]) -> list[list[Tally]]:
        """As `Surveying.survey`."""
        if self._breaker.open:
            return [meter.tallies() for meter in meters]
        return await survey(self._authority, self._site.holder, meters)

    def _release(self, taken: Taken) -> None:
        taken.meter.release(taken, self._clock())
        self._settled(taken.meter)

    def _settled(self, meter: LeasedMeter) -> None:
        """See to it that what was freed is told, and at once where others may find no slot for it."""
        if meter.asleep and meter.limited:
            self._rouse(meter)
        if not meter.limits.parallel or not meter.scarce() or self._breaker.open:
            return
        if self._site.workers > 1 or meter.holders > 1:
            meter.let_go()
            meter.again_at = 0.0
            self._queued[meter] = None
            self._wake.set()

    def _inherit(self, meter: LeasedMeter) -> None:
        """What an earlier process could not report of it is reported from here."""
        if self._unreported is not None and self._unreported.bequeath(meter):
            self._rouse(meter)

    def _usages(self) -> list[Usage]:
        """What the authority has not counted."""
        return [usage for meter in self._rota.awake for usage in meter.unacknowledged()]

    def _rouse(self, meter: LeasedMeter) -> None:
        """The meter takes part in the exchanges in the background from now on."""
        if self._rota.rouse(meter):
            self._wake.set()

    async def _wait(self, meter: LeasedMeter, tokens: int, cost: int, again: float) -> Reservation | Refusal:
        """Queue for what the next exchanges bring."""
        outcome: asyncio.Future[Taken | Refusal] = asyncio.get_running_loop().create_future()
        meter.waiting.append(Waiting(tokens, cost, again, outcome))
        self._queued[meter] = None
        self._wake.set()
        try:
            return await outcome
        except asyncio.CancelledError:
            decided = outcome.done() and not outcome.cancelled() and outcome.exception() is None
            if decided and isinstance(taken := outcome.result(), Taken):
                self._release(taken)
            raise

    async def _run(self) -> None:
        """Exchange, one exchange at a time: at once where somebody waits, else at every tick."""
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            meters = self._choose(now)
            if meters:
                await self._exchange(meters)
                continue
            self._wake.clear()
            moments = [meter.again_at for meter in self._queued]
            if self._rota.awake:
                probe_at = self._breaker.probe_at if self._breaker.open else 0.0
                moments.append(max(self._rota.look_at(now), probe_at))
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min(moments, default=None)):
                    await self._wake.wait()

    def _choose(self, now: float) -> Sequence[LeasedMeter]:
        """The meters to exchange for, if any."""
        if self._breaker.open and now < self._breaker.probe_at:
            return ()
        return self._rota.turn(now, [meter for meter in self._queued if now >= meter.again_at])

    async def _exchange(self, meters: Sequence[LeasedMeter], *, final: bool = False) -> bool:
        """Ask for ``meters`` and serve those who wait for them; whether there was an answer."""
        loop, sent = asyncio.get_running_loop(), self._clock()
        began, patience = loop.time(), PARTING if final else PATIENCE
        self._rota.exchanging(meters, began)
        asks = [meter.ask(self._site.holder, sent, 2 * self._delay, final=final) for meter in meters]
        try:
            found = await answers(self._authority, asks, patience)
            now = self._clock()
            for meter, ask, answer in zip(meters, asks, found, strict=True):
                meter.answered(ask, answer, now)
        except TimeoutError:
            self._failed(f"no answer within {patience * 1000:.0f} ms", late=True)
            return False
        except OSError as error:
            self._failed(str(error), late=False)
            return False
        except Exception as error:
            if not self._breaker.open:
                log.exception("bug in a store plugin")
            self._failed(f"{type(error).__name__} in its plugin", late=False)
            return False
        self._breaker.succeeded()
        self._delay = max(loop.time() - began, self._delay * 0.9)
        self._rota.watch(meters)
        for meter in meters:
            self._serve(meter, now, loop.time())
        return True

    def _serve(self, meter: LeasedMeter, now: float, moment: float) -> None:
        """Settle with those who wait, in their order, as far as possible."""
        while meter.waiting:
            one = meter.waiting[0]
            if not one.outcome.done():
                outcome = meter.take(one.tokens, one.cost, now) or self._refuse(meter, one, now, moment)
                if outcome is None:
                    self._queued[meter] = self._queued.pop(meter)  # behind those who had no turn yet
                    return
                if isinstance(outcome, Taken):
                    meter.futile_until = 0.0
                one.outcome.set_result(outcome)
            meter.waiting.popleft()
        self._queued.pop(meter, None)

    def _refuse(self, meter: LeasedMeter, one: Waiting, now: float, moment: float) -> Refusal | None:
        """What to tell who waits first and got nothing; None: to ask again."""
        refusal = meter.refusal(one.tokens, one.cost, now)
        if refusal is not None and meter.placed():
            if one.again or moment < meter.futile_until or not meter.may_change(one.tokens, one.cost):
                return refusal
            meter.again_at = moment + AGAIN
        one.tries += 1
        if one.tries < TRIES:
            return None
        meter.futile_until = moment + FUTILE
        fullest = max(meter.readings(), key=lambda reading: reading.used / reading.limit)
        return refusal or Refusal(fullest.kind, fullest.limit, GUESS, pending=True)

    def _failed(self, reason: str, *, late: bool) -> None:
        """An exchange failed: nobody waits for the next one."""
        self._breaker.failed(reason, asyncio.get_running_loop().time(), late=late)
        self._site.failed("reserve")
        self._decide_all()

    def _decide_all(self) -> None:
        """Answer all who wait without the authority."""
        now = self._clock()
        queued, self._queued = self._queued, {}
        for meter in queued:
            while meter.waiting:
                one = meter.waiting.popleft()
                if one.outcome.done():
                    continue
                try:
                    one.outcome.set_result(self._in_trouble(meter, one.tokens, one.cost, now))
                except StoreUnavailable as error:
                    one.outcome.set_exception(error)

    def _in_trouble(self, meter: LeasedMeter, tokens: int, cost: int, now: float) -> Taken | Refusal:
        """Decide without the authority, by ``storage.on_trouble``."""
        if self._site.on_trouble == "closed":
            raise StoreUnavailable("The limits cannot be checked: the store that keeps them does not answer.")
        if self._site.on_trouble == "local":
            sharers = parts(self._census, self._site.workers, meter.holders)
            refusal = meter.refusal(tokens, cost, now, sharers)
            if refusal is not None:
                part = replace(refusal, retry_after=min(refusal.retry_after, RETRY), partial=True)
                return meter.refusal(tokens, cost, now) or part
        taken = meter.take(tokens, cost, now, force=True)
        assert taken is not None
        if meter.asleep:
            self._rouse(meter)
        return taken
