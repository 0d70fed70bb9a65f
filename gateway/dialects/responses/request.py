"""The request: one of the Responses API as a chat of OpenAI's.

Source: OpenAI's API reference, and its guide to migrating from chat completions to responses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.api import Unsupported
from gateway.dialects.messages.checks import expect
from gateway.dialects.responses.conversation import Conversation
from gateway.dialects.responses.tools import chat_choice, chat_tools

STATEFUL = ("previous_response_id", "conversation", "prompt")
"""Parameters that name what a provider stores."""
NAMES: Mapping[str, str] = {
    # of a chat: of the request that it stands for
    "logprobs": "top_logprobs",
    "max_completion_tokens": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "messages": "input",
    "reasoning_effort": "reasoning.effort",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
}
_SAME = frozenset(
    {"model", "stream", "temperature", "top_p", "user", "safety_identifier", "service_tier"}
    | {"prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"}
)
"""What a chat has under the same name."""
_TRANSLATED = frozenset(
    {"input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning"}
    | {"max_output_tokens", "top_logprobs", "include"}
)
_MEANINGLESS = frozenset({"stream_options", "max_tool_calls", "metadata"})
"""What is nothing to the provider: the gateway reads it or gives it back, or it is about hosted tools."""
_NEUTRAL: Mapping[str, object] = {"store": False, "truncation": "disabled", "background": False}
"""With these values a parameter asks for what happens without it."""
_LOGPROBS = "message.output_text.logprobs"


def to_chat(body: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The chat, and the names of the parameters it leaves out.

    ``body`` is not changed, but parts of it are in the result. Raises `Unsupported` for what needs a
    provider that stores responses, and for what has no equivalent in a chat.
    """
    dropped = _left_out(body)
    chat = {name: body[name] for name in body if name in _SAME and body[name] is not None}
    talk = Conversation(body.get("instructions"), dropped)
    talk.read(body.get("input"))
    chat["messages"] = talk.messages
    if (limit := body.get("max_output_tokens")) is not None:
        chat["max_completion_tokens"] = limit
    _add_tools(chat, body, dropped)
    _add_text(chat, body.get("text"), dropped)
    _add_reasoning(chat, body.get("reasoning"), dropped)
    _add_logprobs(chat, body)
    return chat, tuple(dropped)


def _left_out(body: Mapping[str, Any]) -> dict[str, None]:
    """The parameters that have no equivalent and need none. Raises `Unsupported` for the others."""
    dropped: dict[str, None] = {}
    for name, value in body.items():
        if name in _SAME or name in _TRANSLATED or name in _MEANINGLESS or value is None:
            continue
        if name in _NEUTRAL and _NEUTRAL[name] == value:
            continue
        if name in STATEFUL or name == "background":
            raise Unsupported(name, "this needs a provider that stores responses, and this one does not")
        dropped[name] = None
    return dropped


def _add_tools(chat: dict[str, Any], body: Mapping[str, Any], dropped: dict[str, None]) -> None:
    """Without tools there is nothing to choose from, and servers refuse a choice."""
    choice = body.get("tool_choice")
    if tools := chat_tools(body.get("tools"), dropped):
        chat["tools"] = tools
        if body.get("parallel_tool_calls") is not None:
            chat["parallel_tool_calls"] = body["parallel_tool_calls"]
    elif choice == "auto" or choice == "none":
        return
    if choice is not None:
        chat["tool_choice"] = chat_choice(choice)


def _add_text(chat: dict[str, Any], text: object, dropped: dict[str, None]) -> None:
    for name, value in expect(text or {}, dict, "text").items():
        if value is None:
            continue
        if name == "verbosity":
            chat["verbosity"] = value
        elif name == "format":
            _add_format(chat, expect(value, dict, "text.format"))
        else:
            dropped["text"] = None


def _add_format(chat: dict[str, Any], wanted: Mapping[str, Any]) -> None:
    kind = wanted.get("type")
    if kind == "json_object":
        chat["response_format"] = {"type": kind}
    elif kind == "json_schema":
        schema = {name: value for name, value in wanted.items() if name != "type" and value is not None}
        chat["response_format"] = {"type": kind, kind: schema}
    elif kind != "text":
        raise Unsupported("text.format", "must be text, json_object or json_schema")


def _add_reasoning(chat: dict[str, Any], reasoning: object, dropped: dict[str, None]) -> None:
    """``summary`` says nothing to a chat: what a provider tells of its reasoning is in its answer anyway."""
    for name, value in expect(reasoning or {}, dict, "reasoning").items():
        if name == "effort" and value is not None:
            chat["reasoning_effort"] = value
        elif name not in ("effort", "summary", "generate_summary") and value is not None:
            dropped["reasoning"] = None


def _add_logprobs(chat: dict[str, Any], body: Mapping[str, Any]) -> None:
    most = body.get("top_logprobs")
    if most or _LOGPROBS in expect(body.get("include") or [], list, "include"):
        chat["logprobs"] = True
        if most:
            chat["top_logprobs"] = most
