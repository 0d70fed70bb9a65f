"""The messages of a chat as Anthropic's turns.

What OpenAI allows and Anthropic refuses is mended so that the same history always gives the same turns:
a prefix that changed would miss the prompt cache and void the signatures of thinking blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import orjson

from gateway.api import Unsupported
from gateway.dialects.gemini_signature import bare_id
from gateway.dialects.losses import lost
from gateway.dialects.messages.checks import expect
from gateway.dialects.messages.parts import Block, Marks, blocks, text_block

_KNOWN = frozenset(
    {"role", "content", "name", "tool_calls", "tool_call_id", "refusal", "audio", "function_call"}
    | {"reasoning_content", "reasoning_details", "extra_content", "cache_control", "prompt_cache_breakpoint"}
)
"""Fields of messages that mean something here, or are about what another provider thought."""
_NOTHING = "(empty message)"
_NO_RESULT = "(The result of this tool call was not kept.)"


class Conversation:
    """Built by one pass over the messages: `read`, then look at the attributes."""

    def __init__(self, marks: Marks, dropped: dict[str, None], *, system_turns: bool, prefill: bool) -> None:
        """``system_turns`` and ``prefill``: see `Traits`. ``marks`` and ``dropped`` are added to."""
        self.system: list[Block] = []
        self.turns: list[dict[str, Any]] = []
        self.tools_used: dict[str, None] = {}
        self.settled = False
        """Thinking cannot be switched on now: the answer in progress began without it."""
        self._marks = marks
        self._dropped = dropped
        self._system_turns = system_turns
        self._prefill = prefill
        self._user: list[Block] = []  # the user turn in progress
        self._results: list[Block] = []  # its tool results, which must come first
        self._after: list[Block] = []  # system texts after it
        self._begun = False  # whether a message of it was read, if only an empty one
        self._pending: dict[str, list[str]] = {}  # id of the client → our ids still without a result
        self._ids: set[str] = set()

    def read(self, messages: Sequence[Any]) -> None:
        """Take all messages. Raises `Unsupported`."""
        for item in messages:
            message = expect(item, dict, "messages")
            self._dropped.update(dict.fromkeys(lost(message, _KNOWN, "messages")))
            role = message.get("role")
            if role == "user":
                self._read_user(message)
            elif role == "assistant":
                self._read_assistant(message)
            elif role == "tool":
                self._read_result(message)
            elif role == "system" or role == "developer":
                self._read_system(message)
            else:
                raise Unsupported("messages", "roles are system, developer, user, assistant and tool here")
        self._end_user_turn()
        last = self.turns[-1]
        if last["role"] == "assistant":
            self.settled = True
            self._check_prefill(last["content"][-1])

    def _read_user(self, message: Mapping[str, Any]) -> None:
        if self._after:
            self._user += _wrapped(self._after)
            self._after = []
        if message.get("name") is not None:
            self._dropped["name"] = None
        self._begun = True
        self.settled = False
        self._user += self._blocks(message)

    def _read_system(self, message: Mapping[str, Any]) -> None:
        found = self._blocks(message)
        if not self.turns and not self._begun:
            self.system += found
        elif self._system_turns and (self._user or self._results or self._pending):
            self._after += found
        else:
            self._begun = True
            self._user += _wrapped(found)

    def _read_result(self, message: Mapping[str, Any]) -> None:
        call = expect(message.get("tool_call_id"), str, "messages")
        found = blocks(message.get("content") or "", self._marks, self._dropped)
        waiting = self._pending.get(call)
        if not waiting:  # its call was cut off, or answered already
            self._begun = True
            self._user.append(text_block("Result of an earlier tool call:"))
            self._user += found
            return
        result: Block = {"type": "tool_result", "tool_use_id": waiting.pop(0)}
        if found:
            result["content"] = found
        if not waiting:
            del self._pending[call]
        self._marks.copy(message, result)
        self._results.append(result)

    def _read_assistant(self, message: Mapping[str, Any]) -> None:
        if message.get("function_call") is not None:
            raise Unsupported("messages", "function_call is not translated: use tool_calls")
        said = self._blocks(message)
        said += _spoken(message, alone=not said)
        calls = expect(message.get("tool_calls") or [], list, "messages")
        if not said and not calls:  # thinking alone is no turn
            return
        self._end_user_turn()
        thinking = _thinking(message.get("reasoning_details"))
        if calls:
            self.settled = not thinking
        content = thinking + said + [self._tool_use(call) for call in calls]
        self.turns.append({"role": "assistant", "content": content})

    def _blocks(self, message: Mapping[str, Any]) -> list[Block]:
        found = blocks(message.get("content") or "", self._marks, self._dropped)
        if found:
            self._marks.copy(message, found[-1])
        return found

    def _tool_use(self, item: object) -> Block:
        call = expect(item, dict, "messages")
        function = call.get("function")
        if not isinstance(function, dict):
            raise Unsupported("messages", "only calls of function tools are translated")
        given = expect(call.get("id"), str, "messages")
        name = expect(function.get("name"), str, "messages")
        self.tools_used[name] = None
        ident = self._unique(given)
        self._pending.setdefault(given, []).append(ident)
        return {"type": "tool_use", "id": ident, "name": name, "input": _input(function.get("arguments"))}

    def _unique(self, given: str) -> str:
        """An id of Anthropic's alphabet that no other call has: ``given`` itself if it will do, less the
        signature of another provider in it."""
        ident = bare_id(given)
        ident = ident if is_plain(ident) else f"call_{blake2b(given.encode(), digest_size=12).hexdigest()}"
        base, number = ident, 1
        while ident in self._ids:
            number += 1
            ident = f"{base}-{number}"
        self._ids.add(ident)
        return ident

    def _end_user_turn(self) -> None:
        for waiting in self._pending.values():
            self._results += [
                {"type": "tool_result", "tool_use_id": ident, "content": _NO_RESULT, "is_error": True}
                for ident in waiting
            ]
        content = self._results + self._user
        if content or self._begun or not self.turns:
            self.turns.append({"role": "user", "content": content or [text_block(_NOTHING)]})
        if self._after:
            self.turns.append({"role": "system", "content": self._after})
        self._user, self._results, self._after = [], [], []
        self._pending = {}
        self._begun = False

    def _check_prefill(self, block: Block) -> None:
        if not self._prefill:
            raise Unsupported("messages", "this model does not continue an assistant message at the end")
        if block["type"] == "text":
            block["text"] = block["text"].rstrip()


def _wrapped(system: list[Block]) -> list[Block]:
    """System texts within a user turn, where Anthropic knows no other place for them."""
    for block in system:
        if block["type"] == "text":
            block["text"] = f"<system>\n{block['text']}\n</system>"
    return system


def _spoken(message: Mapping[str, Any], *, alone: bool) -> list[Block]:
    """What an assistant message says beside its content: its refusal, or, without content, its audio."""
    audio = message.get("audio") if alone else None
    text = message.get("refusal") or (audio.get("transcript") if isinstance(audio, dict) else None)
    if isinstance(text, str) and text.strip():
        return [text_block(text)]
    if audio is not None:
        raise Unsupported("messages", "the audio of an earlier answer belongs to one provider")
    return []


def _thinking(details: object) -> list[Block]:
    """The thinking blocks that an answer of ours gave out, as they came from Anthropic.

    Those of other providers, known by the lack of a signature, stay out: they would be refused.
    """
    if not isinstance(details, list):
        return []
    return [
        {key: value for key, value in block.items() if key != "index"}
        for block in details
        if isinstance(block, dict)
        if (block.get("type") == "thinking" and block.get("signature"))
        or (block.get("type") == "redacted_thinking" and block.get("data"))
    ]


def _input(arguments: object) -> dict[str, Any]:
    """Arguments, which OpenAI gives as text, as the object that Anthropic insists on."""
    text = expect(arguments if arguments is not None else "", str, "messages")
    if not text.strip():
        return {}
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = None
    return value if isinstance(value, dict) else {"raw_arguments": text}


def is_plain(ident: str) -> bool:
    """Whether an id of a tool call is in Anthropic's alphabet."""
    return ident.isascii() and ident.replace("_", "").replace("-", "").isalnum()
