"""Requests as clients send them, one for each thing a provider may stumble over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway.api.provider import Call

MODEL = "conformance-model-1"

_WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["C", "F"]}},
    "required": ["city"],
    "additionalProperties": False,
}
_TOOL = {"type": "function", "function": {"name": "get_weather", "description": "…", "parameters": _WEATHER}}
_GIF = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def _user(content: object) -> dict[str, Any]:
    return {"role": "user", "content": content}


def _asked(name: str, arguments: str) -> dict[str, Any]:
    call = {
        "id": f"call_{name}",
        "type": "function",
        "function": {"name": "get_weather", "arguments": arguments},
    }
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _answered(name: str, content: object) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": f"call_{name}", "content": content}


_CONVERSATIONS: tuple[list[dict[str, Any]], ...] = (
    [_user("Hello")],
    [{"role": "system", "content": "Be brief."}, _user("Hello"), _user("again")],
    [_user("a"), {"role": "assistant", "content": "b"}, {"role": "developer", "content": "c"}, _user("d")],
    [_user("a"), {"role": "assistant", "content": ""}, _user("")],
    [_user([{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": _GIF}}])],
    [_user("a \u2028 \u2029 \u0085 \N{PILE OF POO} \0")],
    [_user("Weather?"), _asked("1", '{"city":"Bern"}'), _answered("1", "sunny")],
    [
        _user("Weather?"),
        _asked("1", ""),
        _answered("1", [{"type": "text", "text": "sunny"}]),
        _user("Thanks"),
    ],
    [_user("Weather?"), _asked("1", '{"city":'), _answered("1", ""), _asked("2", "[1]"), _answered("2", "x")],
    [_user("a"), {"role": "assistant", "content": None, "refusal": "I will not."}, _user("b")],
    [_user("a"), {"role": "assistant", "content": "b", "reasoning_content": "because"}, _user("c")],
)
_PARAMETERS: tuple[dict[str, Any], ...] = (
    {"max_tokens": 5, "temperature": 0.0, "top_p": 0.5, "stop": "END"},
    {"max_completion_tokens": 5, "temperature": 2.0, "stop": ["a", "b", "c", "d"], "n": 1},
    {"tools": [_TOOL]},
    {"tools": [_TOOL], "tool_choice": "required", "parallel_tool_calls": False},
    {"tools": [_TOOL], "tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
    {"tools": [_TOOL], "tool_choice": "none"},
    {"tool_choice": "auto", "parallel_tool_calls": True},
    {"response_format": {"type": "json_object"}},
    {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "x", "schema": _WEATHER, "strict": True},
        }
    },
    {"reasoning_effort": "high", "verbosity": "low"},
    {"n": 3, "logprobs": True, "top_logprobs": 2},
    {"seed": 1, "presence_penalty": 1.0, "frequency_penalty": -1, "logit_bias": {"50256": -100}},
    {"user": "u", "safety_identifier": "s", "prompt_cache_key": "k", "metadata": {"a": "b"}, "store": False},
    {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
    {"temperature": None, "max_tokens": None, "stop": None, "tools": None, "stream_options": None},
    {"something_new": {"nested": [1, 2.5, None, True]}},
)
_COMPLETIONS: tuple[dict[str, Any], ...] = (
    {"prompt": "Once"},
    {"prompt": ["Once"], "max_tokens": 5, "stop": "END"},
    {"prompt": ["Once", "Twice"], "n": 2, "best_of": 3},
    {"prompt": [1, 2, 3]},
    {"prompt": [[1, 2], [3]], "echo": True, "suffix": "end", "logprobs": 1},
)
_EMBEDDINGS: tuple[dict[str, Any], ...] = (
    {"input": "text"},
    {"input": ["text", "and more"], "encoding_format": "base64"},
    {"input": [1, 2, 3], "dimensions": 8},
    {"input": [[1], [2, 3]], "encoding_format": "float", "user": "u"},
)
_FUNCTION = {"type": "function", "name": "get_weather", "parameters": _WEATHER}
_CALLED = {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": "{}"}
_RESPONSES: tuple[dict[str, Any], ...] = (
    {"input": "Hello"},
    {"input": [_user("Hello")], "instructions": "Be brief.", "max_output_tokens": 50, "store": False},
    {"input": [_user([{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": _GIF}])]},
    {
        "input": [
            _user("Weather?"),
            _CALLED,
            {"type": "function_call_output", "call_id": "call_1", "output": "x"},
        ],
        "tools": [_FUNCTION],
    },
    {"input": "Weather?", "tools": [{"type": "web_search"}], "tool_choice": "required"},
    {"input": "Go on", "previous_response_id": "resp_1"},
    {"input": [{"type": "item_reference", "id": "msg_1"}, {"type": "something_new"}]},
    {"input": "Hello", "text": {"format": {"type": "json_object"}}, "reasoning": {"effort": "low"}},
)
_SEARCH = {"name": "get_weather", "description": "Tells the weather", "input_schema": _WEATHER}
_ASK = {"role": "user", "content": "Weather?"}
_USED = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Bern"}}
_RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "rain"}]}
_TURNS: tuple[dict[str, Any], ...] = (
    {"messages": [_ASK]},
    {"messages": [_ASK], "system": [{"type": "text", "text": "Be brief.", "cache_control": {}}]},
    {
        "messages": [
            _ASK,
            {"role": "assistant", "content": [_USED]},
            {"role": "user", "content": [{**_RESULT, "is_error": True}]},
        ],
        "tools": [_SEARCH],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    },
    {"messages": [_ASK], "thinking": {"type": "enabled", "budget_tokens": 1024}, "something_new": [1]},
)


_PASSED: dict[str, tuple[dict[str, Any], ...]] = {
    "moderations": ({"input": "text"}, {"input": [{"type": "text", "text": "text"}]}),
    "images": ({"prompt": "a fish"}, {"prompt": "a fish", "stream": True, "n": 2, "user": "u"}),
    "speech": ({"input": "Hello", "voice": "alloy"}, {"input": "Hello", "stream_format": "sse"}),
    "rerank": ({"query": "q", "documents": ["a", "b"]}, {"query": "q", "documents": [{"text": "a"}]}),
    "transcriptions": ({}, {"response_format": "json"}),
    "translations": ({}, {"response_format": "json"}),
}


@dataclass(frozen=True)
class _Sent:
    """A form that is addressed to a model."""

    model: str
    content_type: str = "multipart/form-data; boundary=b"

    def __len__(self) -> int:
        return sum(map(len, self.pieces()))

    def pieces(self) -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n'
        model = self.model.encode()
        yield b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n%b\r\n--b--\r\n' % model


@dataclass(frozen=True)
class _Form:
    """A form with a file in it."""

    def addressed(self, model: str) -> _Sent:
        return _Sent(model)


def _passed(operation: str) -> list[Call]:
    found = []
    for body in _PASSED.get(operation, ()):
        stream = bool(body.get("stream")) or body.get("stream_format") == "sse"
        call = Call(operation, MODEL, {"model": "an-alias", **body}, stream, dialect=operation)
        if operation in ("transcriptions", "translations"):
            call.upload = _Form()
        found.append(call)
    return found


def _bodies(operation: str) -> list[dict[str, Any]]:
    bodies = {
        "chat": [
            *({"messages": conversation} for conversation in _CONVERSATIONS),
            *({"messages": _CONVERSATIONS[0], **parameters} for parameters in _PARAMETERS),
        ],
        "completions": list(_COMPLETIONS),
        "embeddings": list(_EMBEDDINGS),
        "responses": list(_RESPONSES),
        "messages": [{"max_tokens": 2048, **turns} for turns in _TURNS],
        "count_tokens": list(_TURNS),
    }
    return bodies.get(operation, [])


def calls(operation: str) -> list[Call]:
    """All requests for ``operation``, the plainest first; streamed ones and a ceiling among them."""
    found: list[Call] = _passed(operation)
    for body in _bodies(operation):
        sent = {"model": "an-alias", **body}
        found.append(Call(operation, MODEL, sent, dialect=operation))
        if operation in ("embeddings", "count_tokens"):
            continue
        found.append(Call(operation, MODEL, {**sent, "stream": True}, stream=True, dialect=operation))
        asking = {**sent, "stream": True, "stream_options": {"include_usage": True}}
        found.append(
            Call(operation, MODEL, asking, stream=True, include_usage=True, max_tokens=4, dialect=operation)
        )
    return found
