"""Requests as they go out to Anthropic."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import orjson
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.api import Unsupported
from gateway.dialects.messages.models import Traits, traits_of
from gateway.dialects.messages.request import Target, from_chat
from tests.dialects.messages.chats import MODELS, bodies
from tests.dialects.messages.checker import check

Json = dict[str, Any]
USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}


def send(model: str = "claude-sonnet-4-5", /, **body: Any) -> tuple[Json, tuple[str, ...]]:
    payload, dropped = from_chat({"messages": [USER], **body}, Target(model, "2023-06-01", 4096))
    check(payload)
    return payload, dropped


def refused(model: str = "claude-sonnet-4-5", /, **body: Any) -> str:
    with pytest.raises(Unsupported) as caught:
        send(model, **body)
    return caught.value.param


@settings(max_examples=300, deadline=None)
@given(bodies, st.sampled_from(MODELS), st.integers(1, 9000) | st.none())
def test_whatever_openai_takes_anthropic_takes(body: Json, model: str, ceiling: int | None) -> None:
    before = deepcopy(body)
    traits = traits_of(model)
    try:
        payload, _ = from_chat(body, Target(model, "2023-06-01", 4096, ceiling))
    except Unsupported as refusal:
        assert refusal.param == "messages" and "end" in refusal.reason and not traits.prefill
        return
    assert body == before
    check(payload, system_turns=traits.system_turns)
    assert traits.sampling or not payload.keys() & {"temperature", "top_p"}
    assert not (traits.one_sampling and {"temperature", "top_p"} <= payload.keys())
    assert ceiling is None or payload["max_tokens"] <= ceiling


@settings(max_examples=100, deadline=None)
@given(bodies, st.sampled_from(MODELS), st.data())
def test_turns_of_a_longer_history_begin_with_those_of_a_shorter_one(
    body: Json, model: str, data: st.DataObject
) -> None:
    messages = [
        {
            key: value
            for key, value in message.items()
            if key not in ("cache_control", "prompt_cache_breakpoint")
        }
        for message in body["messages"]
    ]
    assume(messages[-1]["role"] != "assistant")
    target = Target(model, "2023-06-01", 4096)
    answer = {"role": "assistant", "content": data.draw(st.sampled_from(["an answer", "another"]))}
    longer = [*messages, answer, USER]
    bodies_ = [{"messages": messages}, {"messages": longer}]
    short, long = (from_chat(body, target)[0]["messages"] for body in bodies_)
    assert orjson.dumps(_unmarked(long[: len(short)])) == orjson.dumps(_unmarked(short))


def _unmarked(turns: list[Json]) -> list[Json]:
    return [
        {
            **turn,
            "content": [
                {k: v for k, v in block.items() if k != "cache_control"} for block in turn["content"]
            ],
        }
        for turn in turns
    ]


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-9, 9)
        | st.sampled_from(["user", "tool", "function", "text"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["role", "content", "type", "text", "tool_calls", "function", "name", "id", "image_url"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ),
    st.sampled_from(
        [
            "messages",
            "tools",
            "tool_choice",
            "response_format",
            "stop",
            "thinking",
            "reasoning_effort",
            "max_tokens",
        ]
    ),
)
def test_nonsense_is_refused_or_passed_on_but_never_breaks(nonsense: Any, name: str) -> None:
    for value in (nonsense, [nonsense], [{"role": "user", "content": [nonsense]}]):
        try:
            from_chat({"messages": [USER], name: value}, Target("claude-sonnet-4-5", "2023-06-01", 4096))
        except Unsupported:
            pass


def test_a_plain_chat() -> None:
    payload, dropped = send(
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": "Be kind."},
            USER,
        ],
        max_completion_tokens=99,
        temperature=0.3,
        stop=["END"],
        user="u-1",
        stream=True,
        stream_options={"include_usage": True},
        service_tier="default",
    )
    assert payload == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 99,
        "system": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "temperature": 0.3,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u-1"},
        "service_tier": "standard_only",
    }
    assert dropped == ()


def test_blank_stops_are_named() -> None:
    payload, dropped = send(stop=["\n", "END"])
    assert payload["stop_sequences"] == ["END"] and dropped == ("stop",)


@pytest.mark.parametrize(
    ("asked", "ceiling", "sent"),
    [(None, None, 4096), (None, 1000, 1000), (500, 1000, 500), (5000, 1000, 1000)],
)
def test_max_tokens(asked: int | None, ceiling: int | None, sent: int) -> None:
    payload, _ = from_chat(
        {"messages": [USER], "max_tokens": asked}, Target("claude-sonnet-4-5", "2023-06-01", 4096, ceiling)
    )
    assert payload["max_tokens"] == sent


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("n", 2),
        ("logprobs", True),
        ("top_logprobs", 3),
        ("modalities", ["text", "audio"]),
        ("web_search_options", {}),
        ("functions", [{"name": "f"}]),
        ("moderation", {"model": "m"}),
        ("tools", [{"type": "custom", "custom": {"name": "c"}}]),
        ("tool_choice", "required"),
        ("response_format", {"type": "grammar"}),
        ("reasoning_effort", "extreme"),
    ],
)
def test_without_equivalent_and_not_to_be_left_out(parameter: str, value: Any) -> None:
    assert refused(**{parameter: value}) == parameter


def test_without_equivalent_but_dispensable() -> None:
    _, dropped = send(seed=1, logit_bias={"1": 2}, presence_penalty=0.5, store=True, a_new_one=1)
    assert dropped == ("seed", "logit_bias", "presence_penalty", "store", "a_new_one")


def test_asking_for_the_default_loses_nothing() -> None:
    _, dropped = send(n=1, logprobs=False, presence_penalty=0, logit_bias={}, modalities=["text"], seed=None)
    assert dropped == ()


def test_at_most_four_cache_marks_the_last_ones() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    part = {"type": "text", "text": "t"}
    content = [
        {**part, **mark},
        {**part, "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}},
        part,
    ]
    payload, dropped = send(
        tools=[{**TOOL, **mark}],
        messages=[
            {"role": "system", "content": "s", **mark},
            {"role": "user", "content": content, **mark},
            USER,
        ],
        cache_control={"type": "ephemeral"},
    )
    assert "cache_control" not in payload["tools"][0]
    assert "cache_control" not in payload["system"][0]
    controls = [block.get("cache_control") for block in payload["messages"][0]["content"]]
    assert controls == [
        mark["cache_control"],
        {"type": "ephemeral", "ttl": "1h"},
        mark["cache_control"],
        None,
    ]
    assert dropped == ("cache_control",)


def test_response_formats() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}
    payload, _ = send(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
    sent = payload["output_config"]["format"]
    assert sent["type"] == "json_schema" and sent["schema"]["additionalProperties"] is False
    payload, _ = send(response_format={"type": "json_object"})
    assert "JSON" in payload["system"][-1]["text"] and "output_config" not in payload


def test_unknown_names_are_met_in_the_widely_understood_form() -> None:
    assert traits_of("claude-opus") == traits_of("some-compatible-model") == Traits()
