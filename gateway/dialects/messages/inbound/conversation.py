"""Anthropic's turns as the messages of a chat. The same turns always give the same messages, so that what
providers cache of a conversation stays good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from gateway.api import Unsupported
from gateway.dialects.chat_media import output
from gateway.dialects.losses import lost
from gateway.dialects.messages.checks import expect
from gateway.dialects.messages.inbound.ids import from_client
from gateway.dialects.messages.inbound.parts import Part, joined, note_unheard, parts, plain

Message = dict[str, Any]

_KNOWN = frozenset({"role", "content"})
_FAILED = "Error: "


def system_message(system: object, dropped: dict[str, None]) -> list[Message]:
    """The system prompt as one message, if there is any."""
    text = joined(parts(system or "", dropped), "\n\n")
    return [{"role": "system", "content": text}] if text else []


def messages_of(turns: Sequence[Any], dropped: dict[str, None]) -> list[Message]:
    """All turns. ``dropped`` is added to. Raises `Unsupported` for what has no equivalent."""
    found: list[Message] = []
    for role, content in _merged(turns, dropped):
        if role == "user":
            found += _user(content, dropped)
        elif role == "assistant":
            found += _assistant(content, dropped)
        elif role == "system":
            found += system_message(content, dropped)
        else:
            raise Unsupported("messages", "roles are user, assistant and system")
    if found and found[-1]["role"] == "assistant":
        raise Unsupported("messages", "only Anthropic continues an assistant message at the end")
    return found


def _merged(turns: Sequence[Any], dropped: dict[str, None]) -> list[tuple[object, list[Any]]]:
    """The role of each turn and its blocks; turns of one role in a row are one, as they are to Anthropic."""
    merged: list[tuple[object, list[Any]]] = []
    for item in turns:
        turn = expect(item, dict, "messages")
        dropped.update(dict.fromkeys(lost(turn, _KNOWN, "messages")))
        role, content = turn.get("role"), turn.get("content") or []
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        if not merged or merged[-1][0] != role:
            merged.append((role, []))
        merged[-1][1].extend(expect(content, list, "messages"))
    return merged


def _user(content: Sequence[Any], dropped: dict[str, None]) -> list[Message]:
    """Results of tool calls first, each a message of its own; what they hold beside text, and all else the
    user says, in one message after them."""
    results: list[Message] = []
    shown: list[Part] = []
    said: list[Any] = []
    for item in content:
        block = expect(item, dict, "messages")
        if block.get("type") == "tool_result":
            results.append(_result(block, shown, dropped))
        else:
            said.append(block)
    user = [*shown, *parts(said, dropped)]
    return [*results, {"role": "user", "content": plain(user)}] if user or not results else results


def _result(block: Mapping[str, Any], shown: list[Part], dropped: dict[str, None]) -> Message:
    """The message for one result; images and files in it go to ``shown``, with a line that says whose."""
    note_unheard(block, dropped)
    found = parts(block.get("content") or "", dropped)
    ident = from_client(expect(block.get("tool_use_id"), str, "messages"))
    text, rest = output(found, ident)
    shown += rest
    if block.get("is_error") is True:
        text = f"{_FAILED}{text}"
    return {"role": "tool", "tool_call_id": ident, "content": text}


def _assistant(content: Sequence[Any], dropped: dict[str, None]) -> list[Message]:
    """One message. Thinking with a signature goes along as it is, in the field that a translation back to
    Anthropic restores it from; other thinking as the text that it is."""
    said: list[Any] = []
    calls: list[dict[str, Any]] = []
    thoughts: list[str] = []
    signed: list[dict[str, Any]] = []
    for item in content:
        block = expect(item, dict, "messages")
        kind = block.get("type")
        if kind == "tool_use":
            note_unheard(block, dropped)
            calls.append(_call(block))
        elif kind == "redacted_thinking" or (kind == "thinking" and block.get("signature")):
            signed.append(block)
        elif kind == "thinking":
            thoughts.append(expect(block.get("thinking") or "", str, "messages"))
        else:
            said.append(block)
    found = parts(said, dropped)
    if any(part["type"] != "text" for part in found):
        raise Unsupported("messages", "an assistant message in a chat is text")
    if not found and not calls:
        return []
    message: Message = {"role": "assistant", "content": joined(found) if found else None}
    if thought := "".join(thoughts):
        message["reasoning_content"] = thought
    if signed:
        message["reasoning_details"] = signed
    if calls:
        message["tool_calls"] = calls
    return [message]


def _call(block: Mapping[str, Any]) -> dict[str, Any]:
    given = block.get("input")
    function = {
        "name": expect(block.get("name"), str, "messages"),
        "arguments": orjson.dumps({} if given is None else given).decode(),
    }
    ident = from_client(expect(block.get("id"), str, "messages"))
    return {"id": ident, "type": "function", "function": function}
