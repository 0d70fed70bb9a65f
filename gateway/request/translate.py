"""From the client's request to what one provider is asked, and from its chunks to the client's bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.api import Call, Chunk, Provider, Unsupported, Usage
from gateway.dialects import completions
from gateway.dialects.chat_usage import encode_chunk, openai_usage, set_cost, with_cost
from gateway.request.transaction import Transaction


@dataclass(slots=True)
class Translation:
    """How one provider serves one request: the call it gets, and how its chunks become bytes."""

    call: Call
    bridged: bool
    """A legacy completion, served as a chat."""

    def encode(self, chunk: Chunk, usage: Usage | None, cost: int | None) -> bytes:
        """The chunk in the client's dialect, its usage with the cost beside it (nano-dollars)."""
        value = chunk.value
        if value is None:
            return with_cost(chunk.raw, cost) if chunk.usage else chunk.raw
        if chunk.usage:
            _fill_usage(value, usage)
            set_cost(value, cost)
        if self.bridged:
            value = completions.from_chat(value)
        return encode_chunk(value) if self.call.stream else orjson.dumps(value)


def translation(tx: Transaction, provider: Provider, model: str, ceiling: int | None) -> Translation:
    """Raises `Unsupported` if the provider cannot serve the operation, or not with these parameters."""
    operation = tx.operation.name
    body: Mapping[str, Any] = tx.body
    bridged = False
    if operation not in provider.operations:
        if operation != "completions" or "chat" not in provider.operations:
            raise Unsupported(operation)
        operation, body, bridged = "chat", completions.to_chat(tx.body), True
    call = Call(
        operation=operation,
        model=model,
        body=body,
        stream=tx.stream,
        include_usage=tx.include_usage,
        max_tokens=ceiling,
        dialect=operation,
        upload=tx.upload,
    )
    return Translation(call, bridged)


def _fill_usage(value: dict[str, Any], usage: Usage | None) -> None:
    """Where the upstream named no figures, ours stand in the answer."""
    if usage is not None and usage.estimated:
        value["usage"] = openai_usage(usage)
