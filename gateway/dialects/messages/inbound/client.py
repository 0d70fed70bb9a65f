"""What the request path has to know of Anthropic's clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway.dialects.chat_usage import with_cost
from gateway.dialects.client import ClientDialect
from gateway.dialects.messages.inbound.answer import message_usage
from gateway.dialects.messages.inbound.encoder import MessageEncoder
from gateway.dialects.messages.inbound.errors import error_body, error_event
from gateway.dialects.messages.inbound.events import PING, STOP
from gateway.dialects.messages.inbound.parameters import NAMES
from gateway.dialects.messages.inbound.replay import Assembly, as_stream, is_complete
from gateway.dialects.messages.inbound.request import to_chat


def _opening(body: Mapping[str, Any]) -> Any:
    """The system prompt, and everything up to the first message of the user."""
    messages = body["messages"]
    length = next((place for place, message in enumerate(messages, 1) if message["role"] == "user"), None)
    return [body.get("system"), messages[:length]]


MESSAGES = ClientDialect(
    name="messages",
    limits=("max_tokens",),
    headers=("anthropic-version", "anthropic-beta"),
    id_header="request-id",
    unheeded=frozenset({"stream", "metadata"}),
    opening=_opening,
    to_chat=to_chat,
    encoder=MessageEncoder,
    names=NAMES,
    error_body=error_body,
    error_event=error_event,
    keepalive=PING,
    done=STOP,
    usage=message_usage,
    with_cost=with_cost,
    as_stream=as_stream,
    assembly=Assembly,
    complete=is_complete,
)
COUNT_TOKENS = replace(MESSAGES, name="count_tokens", limits=(), to_chat=None, encoder=None)
"""For requests that only ask how many tokens they are."""
