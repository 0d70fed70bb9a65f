"""The request: one of Anthropic's Messages as a chat of OpenAI's.

Sources: the Messages API reference; the chat completions reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import orjson

from gateway.api import Unsupported
from gateway.dialects.messages.checks import expect
from gateway.dialects.messages.inbound.conversation import messages_of, system_message
from gateway.dialects.messages.inbound.parameters import without_equivalent
from gateway.dialects.messages.inbound.thinking import effort_of
from gateway.dialects.messages.inbound.tools import add_tools

_SAME = ("stream", "temperature", "top_p", "top_k")
_TIERS = {"auto": "auto", "standard_only": "default"}
_LONGEST_USER = 64
_CONFIGS = frozenset({"effort", "format"})


def to_chat(body: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The chat request, and the names of what it leaves out. ``body`` is not changed, but parts of it are
    in the result. Raises `Unsupported`."""
    dropped = without_equivalent(body)
    try:
        messages = [
            *system_message(body.get("system"), dropped),
            *messages_of(expect(body.get("messages"), list, "messages"), dropped),
        ]
    except (RecursionError, orjson.JSONEncodeError):
        raise Unsupported("messages", "nested too deeply") from None
    chat: dict[str, Any] = {"model": body.get("model"), "messages": messages}
    if not body.get("max_tokens"):
        raise Unsupported("max_tokens", "only Anthropic takes a request for no answer")
    chat["max_completion_tokens"] = body["max_tokens"]
    chat |= {name: body[name] for name in _SAME if body.get(name) is not None}
    if stops := body.get("stop_sequences"):
        chat["stop"] = stops
    add_tools(chat, body, dropped)
    if (effort := effort_of(body)) is not None:
        chat["reasoning_effort"] = effort
    _format(chat, body, dropped)
    _settings(chat, body, dropped)
    return chat, tuple(dropped)


def _format(chat: dict[str, Any], body: Mapping[str, Any], dropped: dict[str, None]) -> None:
    """The form of the answer: in ``output_config``, or where clients of 2025 put it."""
    config = body.get("output_config") or {}
    if config.keys() - _CONFIGS:
        dropped["output_config"] = None
    asked = config.get("format") or body.get("output_format")
    if asked is None:
        return
    schema = expect(asked, dict, "output_config").get("schema")
    if asked.get("type") != "json_schema" or not isinstance(schema, dict):
        raise Unsupported("output_config", "format must be a json_schema")
    described = {"name": "answer", "schema": schema, "strict": _strict(schema)}
    chat["response_format"] = {"type": "json_schema", "json_schema": described}


def _strict(schema: object) -> bool:
    """Whether OpenAI would enforce it: objects are closed, and all that they may hold is required."""
    if isinstance(schema, list):
        return all(map(_strict, schema))
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties") or {}
    if schema.get("type") == "object" or properties:
        required = schema.get("required") or []
        if not isinstance(properties, dict) or not isinstance(required, list):
            return False
        whole = len(required) == len(properties) and all(name in required for name in properties)
        if schema.get("additionalProperties") is not False or not whole:
            return False
    return all(map(_strict, schema.values()))


def _settings(chat: dict[str, Any], body: Mapping[str, Any], dropped: dict[str, None]) -> None:
    metadata = body.get("metadata") or {}
    if isinstance(user := metadata.get("user_id"), str) and user:
        # OpenAI takes no longer ones; who it is does not matter, only that it is the same one.
        fits = len(user) <= _LONGEST_USER
        chat["user"] = user if fits else blake2b(user.encode(), digest_size=16).hexdigest()
    if metadata.keys() - {"user_id"}:
        dropped["metadata"] = None
    if (tier := body.get("service_tier")) is not None:
        if isinstance(tier, str) and tier in _TIERS:
            chat["service_tier"] = _TIERS[tier]
        else:
            dropped["service_tier"] = None
