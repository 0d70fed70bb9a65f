"""A cached answer: what is kept of it, and the response it makes for another request."""

from __future__ import annotations

import time
from typing import NamedTuple

import orjson

from gateway.api import Usage
from gateway.catalog import Target
from gateway.dialects import lenient
from gateway.request.ending import streamed, whole
from gateway.request.head import line, stream_head, usd
from gateway.request.relay import Relay
from gateway.request.transaction import Transaction
from gateway.server import Direct

FORMAT = 1
"""Of `Entry.pack`; others are not read."""


class Entry(NamedTuple):
    """A whole answer, and who gave it."""

    provider: str
    key: str
    model: str
    dropped: tuple[str, ...]
    clamped: str | None
    body: bytes
    """The answer as its clients get it, with a ``usage.cost`` of 0."""

    @classmethod
    def of(cls, tx: Transaction, body: bytes) -> Entry:
        """The answer that ``tx`` got."""
        target = tx.target
        assert target is not None
        return cls(target.provider, target.key, target.model, tx.dropped, tx.clamped, body)

    def pack(self) -> bytes:
        """As bytes for a store: a line of JSON, and the body."""
        return orjson.dumps([FORMAT, *self[:-1]]) + b"\n" + self.body

    @classmethod
    def unpack(cls, packed: bytes) -> Entry | None:
        """What `pack` made; None if it is something else."""
        first, _, body = packed.partition(b"\n")
        try:
            version, provider, key, model, dropped, clamped = orjson.loads(first)
            return cls(provider, key, model, tuple(dropped), clamped, body) if version == FORMAT else None
        except (TypeError, ValueError):
            return None

    def target(self, tx: Transaction) -> Target | None:
        """Who gave it, if the configuration still has them."""
        catalog = tx.runtime.catalog
        service = catalog.services.get(self.provider)
        targets = catalog.targets(service, self.model) if service is not None else ()
        return next((target for target in targets if target.key == self.key), None)


def give(tx: Transaction, entry: Entry, target: Target) -> Direct:
    """Answer ``tx`` with what another request brought: it costs nothing and uses no tokens."""
    tx.target, tx.dropped, tx.clamped = target, entry.dropped, entry.clamped
    tx.usage, tx.cost = Usage(), 0
    return _stream(tx, entry) if tx.stream else whole(tx, entry.body, line("x-coo-cost", usd(0)))


def _stream(tx: Transaction, entry: Entry) -> Direct:
    dialect = tx.operation.dialect
    events = dialect.as_stream(lenient.loads(entry.body), tx.include_usage)
    relay = tx.relay or Relay(tx.http, lambda: stream_head(tx.http, tx.headers()), dialect.keepalive, 0)
    if tx.content is not None:
        tx.content.answered(entry.body)
    tx.status, tx.first_token = 200, time.monotonic()
    return streamed(tx, relay, events)
