"""Generated Messages requests: odd, but such as Anthropic takes."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]

PIXEL = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
TOOLS = [{"name": "f", "input_schema": SCHEMA}, {"name": "g", "description": "G", "input_schema": SCHEMA}]

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
_marks = st.sampled_from([{}, {}, {"cache_control": {"type": "ephemeral"}}])
_text_blocks = st.builds(lambda text, mark: {"type": "text", "text": text, **mark}, texts, _marks)
_media = st.sampled_from(
    [
        {"type": "image", "source": PIXEL},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        {"type": "document", "source": PDF, "title": "a.pdf"},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Once"}},
    ]
)
_said = st.lists(_text_blocks | _media, min_size=1, max_size=3)
_outputs = st.one_of(st.none(), texts, st.lists(_text_blocks | _media, max_size=2))
_thoughts = st.sampled_from(
    [
        [],
        [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}],
        [{"type": "thinking", "thinking": "Hm.", "signature": ""}],
        [{"type": "redacted_thinking", "data": "ZGF0YQ=="}],
    ]
)


@st.composite
def turns(draw: st.DrawFn) -> list[Json]:
    """A conversation: every call is answered, and the user has the last word."""
    found: list[Json] = []
    for number in range(draw(st.integers(0, 3))):
        found.append({"role": "user", "content": draw(texts | _said)})
        names = draw(st.lists(st.sampled_from(["f", "g"]), max_size=2))
        calls = [
            {"type": "tool_use", "id": f"toolu_{number}_{place}", "name": name, "input": {"a": draw(texts)}}
            for place, name in enumerate(names)
        ]
        said = draw(st.lists(_text_blocks, min_size=0 if calls else 1, max_size=2))
        found.append({"role": "assistant", "content": [*draw(_thoughts), *said, *calls]})
        results: list[Json] = []
        for call in calls:
            result: Json = {"type": "tool_result", "tool_use_id": call["id"]}
            if (output := draw(_outputs)) is not None:
                result["content"] = output
            results.append(result | draw(st.sampled_from([{}, {"is_error": True}])))
        if results:
            split = draw(st.booleans())  # some clients send each result in a turn of its own
            parts = [[result] for result in results] if split else [results]
            found += [{"role": "user", "content": part} for part in parts]
    return [*found, {"role": "user", "content": draw(texts | _said)}]


_options = st.fixed_dictionaries(
    {},
    optional={
        "system": texts | st.lists(_text_blocks, min_size=1, max_size=2),
        "tool_choice": st.sampled_from(
            [
                {"type": "auto"},
                {"type": "any", "disable_parallel_tool_use": True},
                {"type": "tool", "name": "g"},
                {"type": "none"},
            ]
        ),
        "thinking": st.sampled_from([{"type": "enabled", "budget_tokens": 2048}, {"type": "disabled"}]),
        "temperature": st.floats(0, 1),
        "stop_sequences": st.lists(texts, max_size=4),
        "metadata": st.builds(lambda user: {"user_id": user}, texts),
        "service_tier": st.sampled_from(["auto", "standard_only"]),
        "context_management": st.just({"edits": []}),
        "new_parameter": st.just(1),
        "output_config": st.just({"format": {"type": "json_schema", "schema": SCHEMA}}),
    },
)

bodies = st.builds(
    lambda messages, limit, options: {
        "model": "m",
        "max_tokens": limit,
        "messages": messages,
        "tools": TOOLS,
        **options,
    },
    turns(),
    st.integers(1, 100_000),
    _options,
)
