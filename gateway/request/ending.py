"""The end of an answer: its record first, and then its last bytes."""

from __future__ import annotations

from gateway.api import ApiError
from gateway.request.account import close_books
from gateway.request.head import head
from gateway.request.relay import Relay, sent
from gateway.request.transaction import Transaction
from gateway.server import Direct


def whole(tx: Transaction, body: bytes, lines: str = "", content_type: str = "application/json") -> Direct:
    """An answer in one piece; ``lines``: headers beside those that every answer carries."""
    tx.status = 200
    if tx.content is not None:
        tx.content.answered(body)
    lines = tx.headers() + lines
    close_books(tx)
    return Direct(200, head(tx.http, 200, len(body), lines, content_type=content_type) + body)


def streamed(tx: Transaction, relay: Relay, events: bytes) -> Direct:
    """A stream whose head has gone out, or goes out with its last ``events``; how it ended is noted."""
    close_books(tx)
    relay.end(events)
    return sent(tx.http)


def broken(tx: Transaction, relay: Relay, error: ApiError) -> Direct:
    """A begun stream that goes no further, ended by its one error event."""
    tx.fail(error, 200)
    return streamed(tx, relay, tx.operation.dialect.error_event(error, tx.request_id))
