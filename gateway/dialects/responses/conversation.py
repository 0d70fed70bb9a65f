"""The items of a Responses request as the messages of a chat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.api import Unsupported
from gateway.dialects.losses import lost
from gateway.dialects.messages.checks import expect
from gateway.dialects.responses.identity import is_our_reasoning, unseal
from gateway.dialects.responses.parts import chat_content, said

Message = dict[str, Any]

_ROLES = frozenset({"user", "system", "developer"})
_LONGEST_NAME = 40
_KNOWN = frozenset({"type", "id", "status", "role", "content", "call_id", "name", "arguments", "output"})
"""Fields of messages, calls and outputs that a chat has, or that say nothing to a model."""


class Conversation:
    """Built by one pass over the items: `read`, then look at ``messages``.

    What the model did in one turn (reasoning, text, calls) is one assistant message in a chat.
    """

    def __init__(self, instructions: object, dropped: dict[str, None]) -> None:
        """``dropped`` is added to."""
        self.messages: list[Message] = []
        self._dropped = dropped
        self._turn: Message | None = None  # the assistant message that what comes next belongs to
        self._thoughts: list[dict[str, Any]] = []  # of a turn that has not said anything yet
        self._thought = ""
        if instructions is not None and instructions != "":
            self.messages.append({"role": "system", "content": expect(instructions, str, "instructions")})

    def read(self, given: object) -> None:
        """Take the ``input``: a text or a list of items. Raises `Unsupported`."""
        if isinstance(given, str):
            self._hear("user", given)
            return
        for entry in expect(given, list, "input"):
            item = expect(entry, dict, "input")
            kind = item.get("type", "message")
            if kind == "message":
                self._read_message(item)
            elif kind == "function_call":
                self._read_call(item)
            elif kind == "function_call_output":
                self._read_output(item)
            elif kind == "reasoning":
                self._read_reasoning(item)
                continue
            elif kind == "item_reference":
                raise Unsupported("input", "the item that is referred to is stored by one provider")
            else:
                raise Unsupported("input", f"items of type {_short(kind)} have no equivalent in a chat")
            self._dropped.update(dict.fromkeys(lost(item, _KNOWN, "input")))

    def _read_message(self, item: Mapping[str, Any]) -> None:
        role = item.get("role")
        if role == "assistant":
            self._speak(*said(item.get("content"), self._dropped))
        elif isinstance(role, str) and role in _ROLES:
            # Servers other than OpenAI's know no developers; OpenAI takes a system's words for theirs.
            content = chat_content(item.get("content"), self._dropped)
            self._hear("user" if role == "user" else "system", content)
        else:
            raise Unsupported("input", "roles are user, assistant, system and developer")

    def _hear(self, role: str, content: str | list[dict[str, Any]]) -> None:
        self._end_turn()
        self.messages.append({"role": role, "content": content})

    def _speak(self, text: str, refusal: str) -> None:
        turn = self._turn
        if turn is None or (turn["content"] is not None and "tool_calls" not in turn):
            turn = self._begin_turn()
        turn["content"] = (turn["content"] or "") + text
        if refusal:
            turn["refusal"] = turn.get("refusal", "") + refusal

    def _read_call(self, item: Mapping[str, Any]) -> None:
        if item.get("namespace") is not None:
            raise Unsupported("input", "namespaces of tools have no equivalent in a chat")
        function = {
            "name": expect(item.get("name"), str, "input"),
            "arguments": expect(item.get("arguments"), str, "input"),
        }
        turn = self._turn or self._begin_turn()
        call = {"id": expect(item.get("call_id"), str, "input"), "type": "function", "function": function}
        turn.setdefault("tool_calls", []).append(call)

    def _read_output(self, item: Mapping[str, Any]) -> None:
        self._end_turn()
        call = expect(item.get("call_id"), str, "input")
        content = chat_content(item.get("output"), self._dropped)
        self.messages.append({"role": "tool", "tool_call_id": call, "content": content})

    def _read_reasoning(self, item: Mapping[str, Any]) -> None:
        """Reasoning goes back to who made it; that of a provider with a Responses API belongs to it alone."""
        if not is_our_reasoning(item):
            return
        if self._turn is not None and "tool_calls" not in self._turn:
            self._end_turn()
        self._thoughts += unseal(item.get("encrypted_content"))
        self._thought += _summary(item.get("summary"))
        if self._turn is not None:
            self._think(self._turn)

    def _begin_turn(self) -> Message:
        turn = self._turn = {"role": "assistant", "content": None}
        self._think(turn)
        self.messages.append(turn)
        return turn

    def _think(self, turn: Message) -> None:
        if self._thought:
            turn["reasoning_content"] = turn.get("reasoning_content", "") + self._thought
        if self._thoughts:
            turn["reasoning_details"] = turn.get("reasoning_details", []) + self._thoughts
        self._thought, self._thoughts = "", []

    def _end_turn(self) -> None:
        """Reasoning that led to nothing is no message."""
        self._turn = None
        self._thought, self._thoughts = "", []


def _summary(parts: object) -> str:
    texts = [part.get("text") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return "\n\n".join(text for text in texts if isinstance(text, str))


def _short(kind: object) -> str:
    """The kind as an error may repeat it."""
    text = kind if isinstance(kind, str) and kind.isprintable() else "that"
    return repr(text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…")
