"""What a fake model says: the same words to the same question, whichever provider it hides behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.fakes.schema import instance

TOKEN = 4
"""Characters that count as one token."""
REASONING = "Thinking it over."


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool on offer, with the JSON Schema of its arguments."""

    name: str
    schema: Any


@dataclass(frozen=True, slots=True)
class Ask:
    """What of a request decides the answer."""

    text: str = ""
    """The last user turn's text."""
    tools: tuple[Tool, ...] = ()
    forced: str | None = None
    """The tool that must be called; ``""``: any; None: as the model likes."""
    parallel: bool = True
    results: tuple[str, ...] = ()
    """The tool results that the conversation ends with."""
    media: tuple[str, ...] = ()
    """Media types in the last user turn, in order."""
    schema: Any = None
    """The JSON Schema the answer has to fit; None: free text."""
    reasons: bool = False
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolCall:
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer; ``finish`` is ``stop``, ``stop_sequence``, ``length``, ``tool`` or ``refusal``."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    thinking: str = ""
    finish: str = "stop"
    stopped_by: str | None = None
    tokens: int = field(default=0)
    """Output tokens, the reasoning ones among them."""

    @property
    def reasoning_tokens(self) -> int:
        return count(self.thinking)


def count(text: str) -> int:
    """Tokens in ``text``."""
    return -(-len(text) // TOKEN)


def pieces(text: str) -> list[str]:
    """``text`` as tokens: what streams are made of."""
    return [text[at : at + TOKEN] for at in range(0, len(text), TOKEN)]


def reply(ask: Ask, variant: int = 0) -> Reply:
    """Answer ``ask``; ``variant`` tells the choices of one request apart.

    ``use tool`` in the text calls the first tool, ``use tools`` all of them at once (twice the one
    there is); ``please refuse`` is refused; after tool results comes a final text.
    """
    thinking = REASONING if ask.reasons else ""
    if "please refuse" in ask.text:
        return Reply(thinking=thinking, finish="refusal", tokens=count(thinking))
    if calls := _calls(ask):
        spent = sum(count(orjson.dumps(call.arguments).decode()) for call in calls)
        return Reply(calls=calls, thinking=thinking, finish="tool", tokens=count(thinking) + spent)
    text = _text(ask) + (f" ({variant})" if variant else "")
    finish, stopped_by = "stop", None
    for word in ask.stop:
        if (at := text.find(word)) >= 0:
            text, finish, stopped_by = text[:at], "stop_sequence", word
    if ask.max_tokens is not None and count(thinking) + count(text) > ask.max_tokens:
        thinking = thinking[: ask.max_tokens * TOKEN]
        text = text[: (ask.max_tokens - count(thinking)) * TOKEN]
        finish, stopped_by = "length", None
    return Reply(text, (), thinking, finish, stopped_by, count(thinking) + count(text))


def _calls(ask: Ask) -> tuple[ToolCall, ...]:
    if not ask.tools or (ask.forced is None and (ask.results or "use tool" not in ask.text)):
        return ()
    chosen = [tool for tool in ask.tools if tool.name == ask.forced] or list(ask.tools[:1])
    if "use tools" in ask.text and ask.parallel and not ask.forced:
        chosen = list(ask.tools) if len(ask.tools) > 1 else [ask.tools[0], ask.tools[0]]
    return tuple(ToolCall(tool.name, instance(tool.schema)) for tool in chosen)


def _text(ask: Ask) -> str:
    if ask.schema is not None:
        return orjson.dumps(instance(ask.schema)).decode()
    if ask.results:
        return "Results: " + "; ".join(ask.results)
    if ask.media:
        return f"Saw {', '.join(ask.media)}: {ask.text}"
    return f"Echo: {ask.text}"
