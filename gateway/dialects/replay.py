"""Answers given again: a whole chat or completion as a stream, and a stream put together to a whole one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from gateway.dialects.chat_usage import encode_chunk
from gateway.dialects.sse import Event, Splitter
from gateway.dialects.tool_calls import Calls

_CHUNK = {"chat": "chat.completion.chunk", "completions": "text_completion"}
_WHOLE = {"chat": "chat.completion", "completions": "text_completion"}
_TEXTS = frozenset({"content", "refusal", "reasoning_content", "reasoning", "text", "arguments", "input"})
"""What comes in pieces that make one text."""
_OF_CHUNKS = frozenset({"object", "choices", "usage", "obfuscation"})
_SAME = frozenset(
    {"model", "system_fingerprint", "service_tier", "provider", "index", "finish_reason"}
    | {"role", "id", "type", "name"}
)
"""What may come again and again, but with one value only."""
_FIRST = frozenset({"id", "created"})
"""What some upstreams give every chunk anew."""
_UNFINISHED = (None, "", "error")
"""Finish reasons of a choice that broke off; ``error`` is OpenRouter's."""


class Inexact(ValueError):
    """The stream holds what nobody can say how to put together."""


def as_stream(answer: Mapping[str, Any], operation: str, *, include_usage: bool) -> bytes:
    """The events that say what the whole ``answer`` says, without the last ``[DONE]``: of each choice of
    a chat its role, all of its output, and its finish reason, as OpenAI has it; of each choice of a
    completion one; then usage, if asked for."""
    frame = {name: value for name, value in answer.items() if name not in _OF_CHUNKS}
    frame["object"] = _CHUNK[operation]
    end = {"usage": None} if include_usage else {}
    choices = answer["choices"]
    if operation == "chat":
        choices = [part(choice) for part in (_role, _output, _finish) for choice in choices]
    events = [encode_chunk({**frame, "choices": [choice], **end}) for choice in choices]
    if include_usage:
        events.append(encode_chunk({**frame, "choices": [], "usage": answer.get("usage")}))
    return b"".join(events)


def is_complete(answer: Mapping[str, Any]) -> bool:
    """Whether all choices of the whole ``answer`` have come to an end, be it that of ``max_tokens``."""
    choices = answer["choices"]
    return bool(choices) and not any(
        choice.get("finish_reason") in _UNFINISHED or choice.get("error") for choice in choices
    )


def _message(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is passed on as it is may lack one."""
    return choice.get("message") or {}


def _role(choice: Mapping[str, Any]) -> dict[str, Any]:
    message = _message(choice)
    content = None if message.get("content") is None else ""
    delta = {"role": message.get("role", "assistant"), "content": content}
    return {"index": choice.get("index", 0), "delta": delta, "logprobs": None, "finish_reason": None}


def _output(choice: Mapping[str, Any]) -> dict[str, Any]:
    delta = {name: value for name, value in _message(choice).items() if name != "role"}
    calls = delta.get("tool_calls")
    if isinstance(calls, list) and all(isinstance(call, dict) for call in calls):
        delta["tool_calls"] = [{"index": index, **call} for index, call in enumerate(calls)]
    return {**_role(choice), "delta": delta, "logprobs": choice.get("logprobs")}


def _finish(choice: Mapping[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in choice.items() if name not in ("message", "logprobs")}
    return {"index": 0, "delta": {}, **rest}


class Assembly:
    """Puts a stream together as it comes."""

    def __init__(self, operation: str) -> None:
        self._operation = operation
        self._splitter = Splitter()
        self._frame: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        self._calls: defaultdict[int, Calls] = defaultdict(Calls)
        self._usage: Any = None

    def feed(self, stream: bytes) -> None:
        """The next piece. Raises `Inexact`."""
        try:
            self._add(self._splitter.feed(stream))
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise Inexact(str(exc)) from exc

    def whole(self) -> dict[str, Any]:
        """The whole answer that the events make; its usage is the last they name, if any.

        Raises `Inexact` for fields whose pieces may belong together in ways unknown here.
        """
        try:
            self._add(self._splitter.finish())
            found = [_closed(index, self._choices[index]) for index in sorted(self._choices)]
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise Inexact(str(exc)) from exc
        if self._usage is not None and not isinstance(self._usage, dict):
            raise Inexact("usage")
        whole = {**self._frame, "object": _WHOLE[self._operation], "choices": found}
        return whole if self._usage is None else {**whole, "usage": self._usage}

    def _add(self, events: Iterable[Event]) -> None:
        for event in events:
            if not event.data or event.data == b"[DONE]":
                continue
            chunk = orjson.loads(event.data)
            self._usage = chunk.get("usage") or self._usage
            for choice in chunk["choices"]:
                index = choice.get("index", 0)
                _add_choice(self._choices.setdefault(index, {}), choice, self._calls[index])
            for name in _FIRST & self._frame.keys():
                chunk.pop(name, None)
            _add(self._frame, chunk, without=_OF_CHUNKS)


def _add_choice(into: dict[str, Any], choice: Mapping[str, Any], calls: Calls) -> None:
    if choice.get("delta") is not None:
        delta = dict(choice["delta"])
        message = into.setdefault("message", {})
        for call in delta.pop("tool_calls", None) or ():
            known_by = call["index"], calls.place(call)
            _add_call(message.setdefault("tool_calls", {}).setdefault(known_by, {}), call)
        if "function_call" in delta and (call := delta.pop("function_call")):
            _add(message.setdefault("function_call", {}), call)
        _add(message, delta)
    if "logprobs" in choice:
        into["logprobs"] = _joined(into.get("logprobs"), choice["logprobs"])
    _add(into, choice, without=frozenset({"delta", "logprobs"}))


def _joined(known: dict[str, Any] | None, more: dict[str, Any] | None) -> dict[str, Any] | None:
    """Log probabilities: lists that grow, or nulls."""
    if known is None or more is None:
        return more if known is None else known
    names = {**known, **more}
    return {name: _longer(known.get(name), more.get(name)) for name in names}


def _longer(known: list[Any] | None, more: list[Any] | None) -> list[Any] | None:
    return known if more is None else more if known is None else known + more


def _add_call(into: dict[str, Any], call: Mapping[str, Any]) -> None:
    parts = frozenset({"function", "custom"}) & call.keys()
    for name in parts:
        _add(into.setdefault(name, {}), call[name])
    _add(into, call, without=parts | {"index"})


def _add(into: dict[str, Any], values: Mapping[str, Any], without: frozenset[str] = frozenset()) -> None:
    """Texts grow. Of anything else one value is known to hold for all, or there is only one."""
    for name, value in values.items():
        known = into.get(name)
        if name in without or (value is None and name in into):
            continue
        if known is None:
            into[name] = value
        elif name in _TEXTS and isinstance(value, str):
            into[name] = known + value
        elif name not in _SAME or value != known:
            raise Inexact(name)


def _closed(index: int, choice: dict[str, Any]) -> dict[str, Any]:
    """Raises `KeyError` for one without a finish reason."""
    if not choice["finish_reason"]:
        raise Inexact("finish_reason")
    message = choice.get("message")
    if message is not None and "tool_calls" in message:
        message["tool_calls"] = [call for _, call in sorted(message["tool_calls"].items())]
    return {**choice, "index": index}
