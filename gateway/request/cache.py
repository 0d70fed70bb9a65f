"""The response cache: the same answer to the same request, and one upstream call for those in flight."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import orjson
from aiohttp import web

from gateway.api import Site, Store, StoreUnavailable, Usage
from gateway.catalog import Target
from gateway.complaint import Complaint
from gateway.config.schema_policy import Cache
from gateway.dialects import lenient
from gateway.dialects.client import ClientDialect
from gateway.dialects.replay import Inexact
from gateway.metrics import Metrics
from gateway.request.admit import admit_unbilled
from gateway.request.coalesce import Call, Flights
from gateway.request.dispatch import ask
from gateway.request.entry import Entry, give
from gateway.request.tape import Stock, Tape
from gateway.request.transaction import Transaction
from gateway.request.translate import passed_headers
from gateway.server import Direct

log = logging.getLogger(__name__)

PATIENCE = 0.02
"""Seconds a request waits for the store to say whether it has the answer."""
PUT_PATIENCE = 1.0
"""Seconds the store may take to keep one; no request waits for it."""
MOST_ON_WAY = 32 * 1024 * 1024
"""Bytes on their way to the store from which on no further answer is sent there."""
MISSES = 3
"""Failures in a row after which the store is not asked for a while."""
REST = 1.0
"""Seconds for which it is not asked then."""
_ON_LOOP = 64 * 1024
"""Streams beyond this are put together in a thread, so that one does not hold up others."""


class Answers:
    """Answers for those who ask the same again, soon or at the same time."""

    def __init__(self, store: Store, site: Site, metrics: Metrics) -> None:
        self._store = store
        self._site = site
        self._metrics = metrics
        self._flights = Flights()
        self._stock = Stock()
        """For the streams of all requests."""
        self._assembling = asyncio.Lock()
        self._storing: dict[str, bytes] = {}
        """What is on its way to the store: to be had already."""
        self._on_way = 0
        """Bytes of that, and of what others have replaced there."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._rests_until = 0.0
        self._complain = Complaint(log)

    async def answer(self, tx: Transaction, targets: Sequence[Target]) -> web.StreamResponse:
        """The cached answer, that of a call in flight, or a new one."""
        wishes = _wishes(tx)
        if "no-store" in wishes:
            return await ask(tx, targets)
        tx.cache = "miss"
        settings = tx.runtime.config.policy.cache
        key = cache_key(tx, targets, shared=settings.shared)
        if "no-cache" not in wishes:
            given = await self._given(tx, key)
            if given is not None:
                return given
            if settings.coalesce:
                return await self._together(tx, targets, key)
        self._metrics.cache_event("miss")
        tx.tape = self._tape(tx)
        return await self._asked(tx, targets, key)

    async def close(self) -> None:
        """Wait a moment for what is still on its way."""
        if pending := [*self._tasks, *self._flights.works()]:
            await asyncio.wait(pending, timeout=PUT_PATIENCE)

    async def _together(self, tx: Transaction, targets: Sequence[Target], key: str) -> web.StreamResponse:
        """Follow a call in flight, or make the one that others follow."""
        call = Call(key, tx.stream, orjson.dumps(tx.body.get("stream_options")) if tx.stream else b"")
        while (flight := self._flights.find(call)) is not None:
            followed = await self._flights.follow(tx, call)
            if followed is not None:
                return followed
            # Else the next one leads at once: who comes now must not get ahead of those who waited.
            if flight.complete and (given := await self._given(tx, key)) is not None:
                return given
        self._metrics.cache_event("miss")
        tape = tx.tape = self._tape(tx)
        return await self._flights.lead(tx, call, tape, lambda: self._asked(tx, targets, key))

    async def _given(self, tx: Transaction, key: str) -> Direct | None:
        packed = self._storing.get(key) or await self._get(key)
        entry = Entry.unpack(packed) if packed is not None else None
        target = entry.target(tx) if entry is not None else None
        if entry is None or target is None:
            return None
        admission = await admit_unbilled(tx)
        tx.cache = "hit"
        self._metrics.cache_event("hit")
        try:
            return give(tx, entry, target)
        finally:
            await tx.live.store.settle(admission, 0)

    async def _asked(self, tx: Transaction, targets: Sequence[Target], key: str) -> web.StreamResponse:
        tape, needed = tx.tape, False
        assert tape is not None
        try:
            response = await ask(tx, targets)
            if tx.error is None and tape.whole:
                needed = self._keep(tx, key, tape)
            return response
        finally:
            if not needed:
                tape.close()

    def _tape(self, tx: Transaction) -> Tape:
        return Tape(self._stock if tx.stream else None)

    def _keep(self, tx: Transaction, key: str, tape: Tape) -> bool:
        """Store what is on ``tape``. Whether that goes on: it then closes it, and lets go of the request."""
        put = partial(self._put, key, Entry.of(tx, b""), tx.runtime.config.policy.cache)
        dialect = tx.operation.dialect
        if not tx.stream:
            put(_complete(dialect, b"".join(tape.pieces)))
            return False
        assemble = partial(_whole, dialect, tx.usage, tape)
        if tape.held > _ON_LOOP:
            self._in_background(self._put_later(put, assemble), tape.close)
            return True
        put(assemble())
        return False

    async def _put_later(
        self, put: Callable[[bytes | None], None], assemble: Callable[[], bytes | None]
    ) -> None:
        async with self._assembling:  # more at a time would only take more memory
            body = await asyncio.to_thread(assemble)
        put(body)

    def _put(self, key: str, entry: Entry, settings: Cache, body: bytes | None) -> None:
        if body is None or len(body) > settings.max_entry_kb * 1024 or self._resting():
            return
        if self._on_way >= MOST_ON_WAY:  # the store is slower than answers come: they are not kept
            return
        packed = self._storing[key] = entry._replace(body=body).pack()
        self._on_way += len(packed)
        self._in_background(self._store_one(key, packed, settings.ttl_seconds))

    async def _store_one(self, key: str, packed: bytes, seconds: float) -> None:
        try:
            async with asyncio.timeout(PUT_PATIENCE):
                await self._store.cache_put(key, packed, seconds)
            self._failures = 0
        except Exception as exc:  # of whatever kind: a request is answered without the cache
            self._failed("cache_put", exc)
        finally:
            self._on_way -= len(packed)
            if self._storing.get(key) is packed:
                del self._storing[key]

    async def _get(self, key: str) -> bytes | None:
        if self._resting():
            return None
        try:
            async with asyncio.timeout(PATIENCE):
                packed = await self._store.cache_get(key)
        except Exception as exc:  # as above
            self._failed("cache_get", exc)
            return None
        self._failures = 0
        return packed

    def _failed(self, operation: str, why: Exception) -> None:
        if not isinstance(why, StoreUnavailable):  # that is counted by the store
            self._site.failed(operation)
        self._failures += 1
        if self._failures == MISSES:
            self._failures = 0
            self._rests_until = asyncio.get_running_loop().time() + REST
            if isinstance(why, TimeoutError):
                self._complain("the store is too slow for cached answers", operation=operation)
            else:
                self._complain("cached answers cannot be had", why, operation=operation)

    def _resting(self) -> bool:
        return self._rests_until > asyncio.get_running_loop().time()

    def _in_background(
        self, work: Coroutine[Any, Any, None], after: Callable[[], None] | None = None
    ) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if after is not None:
            task.add_done_callback(lambda _: after())


ANSWERS: web.AppKey[Answers] = web.AppKey("gateway.answers", Answers)


def cache_key(tx: Transaction, targets: Sequence[Target], *, shared: bool) -> str:
    """Names the request among all that would get another answer: what is asked of whom, by a client that
    may use what. SHA-256, in hex; the same in every process."""
    client = tx.client
    scope: list[Any] = [
        tx.operation.name,
        None if shared else client.id,
        client.providers and sorted(client.providers),
        client.models and sorted(client.models),
        sorted({f"{target.provider}:{target.model}" for target in targets}),
    ]
    dialect = tx.operation.dialect
    if dialect.headers:
        scope.append(passed_headers(tx))
    asked = {name: value for name, value in tx.body.items() if name not in dialect.unheeded}
    return hashlib.sha256(orjson.dumps([scope, asked], option=orjson.OPT_SORT_KEYS)).hexdigest()


def _wishes(tx: Transaction) -> set[str]:
    """The directives of ``cache-control`` (RFC 9111, section 5.2.1)."""
    values = tx.http.headers.getall("cache-control", ())
    return {wish.strip().lower() for value in values for wish in value.split(",")}


def _complete(dialect: ClientDialect, body: bytes) -> bytes | None:
    """A whole answer, if it may be given again: what is passed on may have broken off, or be anything."""
    try:
        return body if dialect.complete is None or dialect.complete(lenient.loads(body)) else None
    except (AttributeError, LookupError, TypeError, ValueError):
        return None


def _whole(dialect: ClientDialect, used: Usage | None, tape: Tape) -> bytes | None:
    """The answer that a stream made, in one piece; None if it broke off or cannot be put together exactly."""
    assembly = dialect.assembly()
    try:
        for piece in (*tape.pieces, tape.ending):
            assembly.feed(piece)
        whole = assembly.whole()
    except Inexact:
        return None
    if dialect.complete is not None and not dialect.complete(whole):
        return None
    usage = whole.get("usage") or (dialect.usage(used) if used is not None else {})
    return orjson.dumps({**whole, "usage": {**usage, "cost": 0}})
