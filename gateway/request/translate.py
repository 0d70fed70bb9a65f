"""From the client's request to what one provider is asked, and from its chunks to the client's bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.api import ApiError, Call, Chunk, Kind, Outcome, Provider, Reader, Unsupported, Upstream, Usage
from gateway.catalog import Target
from gateway.dialects import lenient
from gateway.dialects.chat_usage import encode_chunk, openai_usage, set_cost
from gateway.dialects.client import Asked, ClientDialect, Encoder
from gateway.dialects.lenient import Joiner
from gateway.dialects.sse import whole_events
from gateway.request.dropped import told
from gateway.request.errors import from_outcome
from gateway.request.transaction import Transaction


@dataclass(slots=True)
class Translation:
    """How one provider serves one request: the call it gets, and how its chunks become bytes. Here it speaks
    the client's dialect, or (chat) translates into it."""

    call: Call
    dialect: ClientDialect

    def encode(self, chunk: Chunk, usage: Usage | None, cost: int | None) -> bytes:
        """The chunk in the client's dialect, its usage with the cost beside it (nano-dollars)."""
        value = chunk.value
        if value is None:
            return self.dialect.with_cost(chunk.raw, cost) if chunk.usage else chunk.raw
        if chunk.usage:
            _fill_usage(value, usage)
            set_cost(value, cost)
        return encode_chunk(value) if self.call.stream else orjson.dumps(value)

    def unpaid(self, chunks: Sequence[Chunk], usage: Usage | None, paid: bytes) -> bytes:
        """``paid``, the bytes that ``chunks`` made, for those who do not pay for them."""
        return b"".join([self.encode(chunk, usage, 0) for chunk in chunks])

    def lost(self, dropped: tuple[str, ...]) -> tuple[str, ...]:
        """The parameters that do not reach the model; ``dropped``: by the provider."""
        return dropped

    def ending(self, reader: Reader, usage: Usage, cost: int | None) -> bytes:
        """What ends the stream that ``reader`` has read."""
        chunk: Chunk | None = getattr(reader, "ending", None)
        return self.dialect.done if chunk is None else self.encode(chunk, usage, cost)

    def broken(self, error: ApiError, request_id: str) -> bytes:
        """What ends a begun stream that cannot go on."""
        return self.dialect.error_event(error, request_id)


class Bridge(Translation):
    """The provider chats, and the client speaks another dialect: ``encoder`` tells it what was answered."""

    __slots__ = ("_dropped", "_encoder", "_joiner")

    def __init__(
        self, call: Call, dialect: ClientDialect, encoder: Encoder, dropped: tuple[str, ...]
    ) -> None:
        """``dropped``: what the request lost when it became a chat."""
        super().__init__(call, dialect)
        self._encoder = encoder
        self._dropped = dropped
        self._joiner = Joiner()

    def encode(self, chunk: Chunk, usage: Usage | None, cost: int | None) -> bytes:
        if self.call.stream:
            return b"".join([self._encoder.events(value) for value in self._values(chunk)])
        value = lenient.loads(chunk.raw) if chunk.value is None else chunk.value
        try:
            return self._encoder.whole(value, usage or Usage(), cost)
        except (AttributeError, LookupError, TypeError, ValueError):
            raise from_outcome(Outcome(Kind.INVALID, 200, "")) from None

    def unpaid(self, chunks: Sequence[Chunk], usage: Usage | None, paid: bytes) -> bytes:
        if self.call.stream:  # told already; what it costs comes at the end
            return paid
        return super().unpaid(chunks, usage, paid)

    def lost(self, dropped: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self._dropped, *map(self.dialect.named, dropped))))

    def ending(self, reader: Reader, usage: Usage, cost: int | None) -> bytes:
        return self._encoder.end(usage, cost)

    def _values(self, chunk: Chunk) -> Iterator[dict[str, Any]]:
        """The values in a chunk of a stream; one that came in OpenAI's own dialect holds events."""
        if chunk.value is not None:
            yield chunk.value
            return
        for event in whole_events(chunk.raw):
            if event.data:
                yield self._joiner.loads(event.data)

    def broken(self, error: ApiError, request_id: str) -> bytes:
        return self._encoder.broken(error, request_id)


def translation(tx: Transaction, provider: Provider, model: str, ceiling: int | None) -> Translation:
    """Raises `Unsupported` if the provider cannot serve the operation, or not with these parameters."""
    dialect = tx.operation.dialect
    name = tx.operation.name
    if name in provider.operations:
        call = Call(
            operation=name,
            model=model,
            body=tx.body,
            stream=tx.stream,
            include_usage=tx.include_usage,
            max_tokens=ceiling,
            dialect=dialect.name,
            upload=tx.upload,
        )
        if dialect.headers:
            call.headers = passed_headers(tx)
        return Translation(call, dialect)
    if dialect.to_chat is None or dialect.encoder is None or "chat" not in provider.operations:
        raise Unsupported(name)
    body, dropped = dialect.to_chat(tx.body)
    call = Call("chat", model, body, tx.stream, tx.include_usage, ceiling, dialect.name)
    encoder = dialect.encoder(Asked(tx.body, call, tx.input_estimate))
    return Bridge(call, dialect, encoder, dropped)


def prepared(tx: Transaction, target: Target) -> tuple[Translation, Upstream, tuple[str, ...]]:
    """What ``target`` would be asked, and the names of the parameters that get lost. Raises `Unsupported`."""
    provider = target.service.plugin
    translated = translation(tx, provider, target.model, _ceiling(tx, target))
    upstream = provider.prepare(translated.call, target.secret.secret)
    dropped = translated.lost(upstream.dropped)
    return translated, upstream, told(dropped) if dropped else dropped


def _ceiling(tx: Transaction, target: Target) -> int | None:
    """The key's ``max_tokens``, where the request asks for more or sets no limit to what it can limit."""
    ceiling = target.secret.max_tokens
    if not ceiling or not tx.operation.dialect.limits:
        return None
    return ceiling if tx.asked is None or ceiling < tx.asked[1] else None


def passed_headers(tx: Transaction) -> dict[str, str]:
    """The headers of the client's request that belong to its dialect."""
    given = tx.http.headers
    found = {name: ",".join(given.getall(name)) for name in tx.operation.dialect.headers if name in given}
    return {name: value for name, value in found.items() if value.isascii() and value.isprintable()}


def _fill_usage(value: dict[str, Any], usage: Usage | None) -> None:
    """Where the upstream named no figures, ours stand in the answer."""
    if usage is not None and usage.estimated:
        value["usage"] = openai_usage(usage)
