"""Generated chats in OpenAI's form: odd, but such as its API takes."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Json = dict[str, Any]

MODELS = [
    "claude-3-5-haiku-20241022",
    "claude-sonnet-4-5",
    "claude-sonnet-4-6",
    "claude-opus-4-8",
    "claude-opus-5-5",
]
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", " \n", "hello "]
)
_idents = st.sampled_from(["call_1", "call_2", "functions.f:0", "", "é"])
_marks = st.sampled_from([{}, {}, {"cache_control": {"type": "ephemeral"}}, {"prompt_cache_breakpoint": {}}])
_text_parts = st.builds(lambda text, mark: {"type": "text", "text": text, **mark}, texts, _marks)
_user_parts = _text_parts | st.sampled_from(
    [
        {
            "type": "image_url",
            "image_url": {"url": "data:image/jpeg;base64,iVBORw0KGgoAAAA=", "detail": "high"},
        },
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
    ]
)
_details = st.sampled_from(
    [
        [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln", "index": 0}],
        [{"type": "redacted_thinking", "data": "ZGF0YQ=="}],
        [{"type": "reasoning.text", "text": "foreign"}],
        None,
    ]
)
_arguments = st.sampled_from(["", "{}", '{"a": [1, null]}', "[1]", "{broken", "null"])


def _call(ident: str, name: str, arguments: str) -> Json:
    return {"id": ident, "type": "function", "function": {"name": name, "arguments": arguments}}


def _message(role: str, content: Any, mark: Json) -> Json:
    return {"role": role, "content": content, **mark}


def _answer(content: str | None, calls: list[Json], details: list[Json] | None) -> Json:
    message: Json = {
        "role": "assistant",
        "content": content,
        "refusal": None,
        "annotations": [],
        "audio": None,
    }
    return message | {"tool_calls": calls or None, "reasoning_details": details, "reasoning_content": "Hm."}


_calls = st.lists(st.builds(_call, _idents, st.sampled_from(["f", "g"]), _arguments), max_size=3)
_messages: SearchStrategy[Json] = st.one_of(
    st.builds(_message, st.just("user"), texts | st.lists(_user_parts, max_size=3), _marks),
    st.builds(_message, st.sampled_from(["system", "developer"]), texts, _marks),
    st.builds(_answer, st.none() | texts, _calls, _details),
    st.builds(
        lambda ident, text: {"role": "tool", "tool_call_id": ident, "name": "f", "content": text},
        _idents,
        texts,
    ),
)
_tools = [
    {"type": "function", "function": {"name": "f"}},
    {"type": "function", "function": {"name": "g", "strict": True, "parameters": {"type": "object"}}},
]
_options = st.fixed_dictionaries(
    {},
    optional={
        "tools": st.sampled_from([_tools, _tools[:1], []]),
        "tool_choice": st.sampled_from(["none", "auto"]),
        "parallel_tool_calls": st.booleans(),
        "reasoning_effort": st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh", "max"]),
        "temperature": st.floats(0, 2),
        "top_p": st.floats(0, 1),
        "max_tokens": st.integers(1, 100_000),
        "stop": texts | st.lists(texts, max_size=4),
        "user": texts,
        "seed": st.integers(0, 9),
        "response_format": st.sampled_from([{"type": "text"}, {"type": "json_object"}]),
    },
)

bodies = st.builds(
    lambda messages, options: {"model": "m", "messages": messages, **options},
    st.lists(_messages, min_size=1, max_size=8),
    _options,
)
