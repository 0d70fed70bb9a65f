"""The request: a chat of OpenAI's as one of Anthropic's Messages.

Sources: the Messages API reference and Anthropic's page on its own OpenAI compatibility.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.api import Unsupported
from gateway.dialects.messages.checks import expect
from gateway.dialects.messages.conversation import Conversation
from gateway.dialects.messages.models import Thinking, Traits, traits_of
from gateway.dialects.messages.parameters import unused
from gateway.dialects.messages.parts import Marks, text_block
from gateway.dialects.messages.reasoning import think, think_as_told
from gateway.dialects.messages.sampling import sample
from gateway.dialects.messages.schema import supported
from gateway.dialects.messages.tools import choose, stand_ins, tools_from_chat

_MOST_MARKS = 4
_LONGEST_USER = 256
_TIERS = {"auto": "auto", "default": "standard_only", "priority": "auto"}
_JSON_ONLY = "Answer with one valid JSON object and nothing else: no other text and no code fence around it."


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes, and with which limits."""

    model: str
    version: str
    """The ``anthropic-version``, a date."""
    default_max_tokens: int
    """What an answer may be long where the client does not say."""
    ceiling: int | None = None
    """The most that ``max_tokens`` may be."""


def from_chat(body: Mapping[str, Any], target: Target) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The Messages request without ``stream``, and the names of the parameters it leaves out.

    ``body`` is not changed, but parts of it are in the result. Raises `Unsupported`.
    """
    traits = traits_of(target.model)
    dropped = unused(body)
    marks = Marks()
    tools, choice = _tools(body, marks, traits, dropped)
    talk = Conversation(marks, dropped, system_turns=traits.system_turns, prefill=traits.prefill)
    talk.read(expect(body.get("messages"), list, "messages"))
    if not tools and talk.tools_used:
        tools, choice = stand_ins(talk.tools_used), {"type": "none"}

    asked = body.get("max_completion_tokens") or body.get("max_tokens")
    ceiling = sys.maxsize if target.ceiling is None else target.ceiling
    limit = min(target.default_max_tokens if asked is None else expect(asked, int, "max_tokens"), ceiling)
    payload: dict[str, Any] = {"model": target.model, "max_tokens": limit}
    if tools:
        payload["tools"] = tools
    if choice is not None:
        payload["tool_choice"] = choice
    _format(payload, body, talk)
    if talk.system:
        payload["system"] = talk.system
    payload["messages"] = talk.turns
    if isinstance(thinking := body.get("thinking"), dict):
        think_as_told(payload, thinking, room=ceiling, asked=asked)
    elif (effort := body.get("reasoning_effort")) is not None:
        room = ceiling if asked is None else limit
        if not think(payload, effort, traits, room=room, settled=talk.settled):
            dropped["reasoning_effort"] = None
    dropped.update(dict.fromkeys(sample(payload, body, traits, target.version)))
    _settings(payload, body, dropped)
    if marks.thin(_MOST_MARKS - ("cache_control" in payload)):
        dropped["cache_control"] = None
    return payload, tuple(dropped)


def _tools(
    body: Mapping[str, Any], marks: Marks, traits: Traits, dropped: dict[str, None]
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    tools = tools_from_chat(body.get("tools"), marks, dropped)
    choice, tools = choose(body, tools)
    if traits.thinking is Thinking.ALWAYS and choice is not None and choice["type"] in ("any", "tool"):
        raise Unsupported("tool_choice", "this model cannot be forced to use a tool")
    return tools, choice


def _format(payload: dict[str, Any], body: Mapping[str, Any], talk: Conversation) -> None:
    """``response_format``: a schema is enforced upstream, any other JSON can only be asked for."""
    asked = body.get("response_format")
    if asked is None:
        return
    kind = expect(asked, dict, "response_format").get("type")
    schema = None
    if kind == "json_schema":
        schema = expect(asked.get("json_schema"), dict, "response_format").get("schema")
    if schema is not None:
        schema = supported(expect(schema, dict, "response_format"))
        payload["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    elif kind == "json_object" or kind == "json_schema":
        talk.system.append(text_block(_JSON_ONLY))
    elif kind != "text":
        raise Unsupported("response_format", "must be text, json_object or json_schema")


def _settings(payload: dict[str, Any], body: Mapping[str, Any], dropped: dict[str, None]) -> None:
    """The parameters that stand for themselves."""
    if stop := body.get("stop"):
        given = [stop] if isinstance(stop, str) else expect(stop, list, "stop")
        if texts := [text for text in given if isinstance(text, str) and text.strip()]:
            payload["stop_sequences"] = texts
        if len(texts) < len(given):
            dropped["stop"] = None
    user = body.get("safety_identifier") or body.get("user")
    if isinstance(user, str) and user:
        payload["metadata"] = {"user_id": user[:_LONGEST_USER]}
    if (tier := body.get("service_tier")) is not None:
        if isinstance(tier, str) and tier in _TIERS:
            payload["service_tier"] = _TIERS[tier]
        else:
            dropped["service_tier"] = None
    if (control := body.get("cache_control")) is not None:
        payload["cache_control"] = control
