"""What takes a provider's answer to the client: in one piece, or event by event."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from gateway.api import ApiError, Chunk, Usage
from gateway.request.account import reckoned
from gateway.request.attempt import Attempt, StreamAttempt, WholeAttempt
from gateway.request.ending import streamed, whole
from gateway.request.head import line, stream_head, usd
from gateway.request.plan import Choice
from gateway.request.relay import Relay
from gateway.request.transaction import Transaction, relay_to
from gateway.server import Direct


class WholeAnswer:
    """An answer that is sent in one piece once it is complete."""

    committed = False
    started = False
    first_token: float | None = None
    content_type = "application/json"
    attempt_type = WholeAttempt

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._choice: Choice | None = None
        self._attempt: WholeAttempt | None = None

    def attempt(self, choice: Choice) -> Attempt:
        self._choice = choice
        self._attempt = self.attempt_type(choice.target, choice.reader)
        return self._attempt

    def response(self) -> Direct:
        tx, choice, attempt = self._tx, self._choice, self._attempt
        assert choice is not None and attempt is not None
        encode = choice.translation.encode
        body = b"".join([encode(chunk, tx.usage, tx.cost) for chunk in attempt.chunks])
        if tx.tape is not None:
            tx.tape.write(choice.translation.unpaid(attempt.chunks, tx.usage, body))
        lines = line("x-coo-cost", usd(tx.cost)) if tx.cost is not None else ""
        return whole(tx, body, lines, self.content_type)

    def broken(self, error: ApiError) -> Direct:
        raise error

    def close(self) -> None:
        """Nothing is held."""


class StreamAnswer:
    """An answer that is relayed event by event from its first content on."""

    attempt_type = StreamAttempt

    def __init__(self, tx: Transaction, relay: Relay | None = None) -> None:
        """``relay``: the client's side of it, if that is no stream of events."""
        self._tx = tx
        self._choice: Choice | None = None
        self._attempt: StreamAttempt | None = None
        self._relay = relay or relay_to(tx, lambda: stream_head(tx.http, tx.headers()))
        self.first_token: float | None = None

    @property
    def started(self) -> bool:
        """Whether anything was sent: an error can then only be an event."""
        return self._relay.started

    @property
    def committed(self) -> bool:
        """Whether content was sent: nothing is retried then."""
        return self.first_token is not None

    def attempt(self, choice: Choice) -> Attempt:
        tx = self._tx
        target = choice.target
        loop = asyncio.get_running_loop()
        self._choice = choice
        self._attempt = self.attempt_type(
            target,
            choice.reader,
            deliver=self._deliver,
            idle=target.service.timeouts.idle,
            latest=loop.time() + tx.deadline - time.monotonic(),
        )
        if tx.tape is None:
            self._relay.attach(self._attempt.pause)
        else:
            tx.tape.lead(self._relay, self._attempt.pause)
        return self._attempt

    def _deliver(self, chunks: list[Chunk]) -> None:
        """Send what the reader made ready; called by the upstream's bytes as they arrive."""
        tx, choice, attempt = self._tx, self._choice, self._attempt
        assert choice is not None and attempt is not None
        if self.first_token is None:
            self.first_token = tx.first_token = time.monotonic()
            tx.upstream_request_id = attempt.request_id
        encode = choice.translation.encode
        if len(chunks) == 1 and not chunks[0].usage:
            if data := encode(chunks[0], None, None):
                self._relay.write(data)
                if tx.tape is not None:
                    tx.tape.write(data)
            return
        usage, price = None, None
        if any(chunk.usage for chunk in chunks):
            usage, price = reckoned(tx, choice, attempt.reader)
        data = b"".join(encode(chunk, usage, price) for chunk in chunks)
        if data:
            self._relay.write(data)
            if tx.tape is not None:
                tx.tape.write(choice.translation.unpaid(chunks, usage, data))

    def response(self) -> Direct:
        tx, choice, attempt = self._tx, self._choice, self._attempt
        assert choice is not None and attempt is not None
        ending, usage = choice.translation.ending, tx.usage or Usage()
        last = ending(attempt.reader, usage, tx.cost)
        if tx.tape is not None:
            tx.tape.ending = ending(attempt.reader, usage, 0)
        if tx.content is not None:
            tx.content.streamed(last)
        tx.status = 200
        return streamed(tx, self._relay, last)

    def broken(self, error: ApiError) -> Direct:
        """End a begun stream with its one error event, and without its proper end."""
        tx = self._tx
        tx.fail(error, 200)
        tx.partial = self.committed
        if self._choice is not None:
            events = self._choice.translation.broken(error, tx.request_id)
        else:
            events = tx.operation.dialect.error_event(error, tx.request_id)
        return streamed(tx, self._relay, events)

    def close(self) -> None:
        """Let go of the connection, however the request ended."""
        self._relay.close()


Answer = WholeAnswer | StreamAnswer
Answering = Callable[[Transaction], Answer]
"""Makes what is to take the answer to this request to the client."""


def answering(tx: Transaction) -> Answer:
    """As the client asked for it."""
    return StreamAnswer(tx) if tx.stream else WholeAnswer(tx)
