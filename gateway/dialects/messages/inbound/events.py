"""The events of a Messages stream. Source: Anthropic's "Streaming messages" page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

PING = b'event: ping\ndata: {"type":"ping"}\n\n'
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


def event(kind: str, **fields: Any) -> bytes:
    """One event; its name is also in its data."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields}))


def start(message: Mapping[str, Any], usage: Mapping[str, Any]) -> bytes:
    """How the stream of ``message`` begins: as if nothing were said yet, with what is known of its usage."""
    begun = {**message, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    return event("message_start", message=begun)


def opened(index: int, block: Mapping[str, Any]) -> bytes:
    return event("content_block_start", index=index, content_block=block)


def delta(index: int, kind: str, field: str, value: object) -> bytes:
    return event("content_block_delta", index=index, delta={"type": kind, field: value})


def closed(index: int) -> bytes:
    return event("content_block_stop", index=index)


def finish(delta: Mapping[str, Any], usage: Mapping[str, Any]) -> bytes:
    """The last two: why it stopped, and that it did."""
    return event("message_delta", delta=delta, usage=usage) + STOP
