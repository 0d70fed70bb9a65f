"""Messages requests as chats."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import orjson
import pytest
from hypothesis import given, settings

from gateway.api import Unsupported
from gateway.dialects.messages.inbound.request import to_chat
from gateway.dialects.messages.request import Target, from_chat
from gateway.request.check_chat import check_chat
from tests.dialects.messages.checker import check
from tests.dialects.messages.inbound.turns import SCHEMA, bodies
from tests.fakes.openai_rules import check_chat as check_as_openai
from tests.fakes.upstream import Rejected

Json = dict[str, Any]
HELLO: Json = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
EXTENSIONS = {"reasoning_content", "reasoning_details"}


def without_extensions(chat: Json) -> Json:
    messages = [{key: value for key, value in m.items() if key not in EXTENSIONS} for m in chat["messages"]]
    return {**chat, "messages": messages}


@settings(max_examples=200, deadline=None)
@given(bodies)
def test_every_chat_is_one_that_openai_takes(body: Json) -> None:
    before = deepcopy(body)
    chat, dropped = to_chat(body)
    assert body == before
    check_chat(chat)
    try:
        check_as_openai({**without_extensions(chat), "model": "gpt-5"} | {"stop": None, "temperature": None})
    except Rejected as rejected:
        raise AssertionError(rejected.body) from rejected
    assert ("new_parameter" in body) == ("new_parameter" in dropped)
    assert to_chat(body) == (chat, dropped)


@settings(max_examples=100, deadline=None)
@given(bodies)
def test_by_way_of_a_chat_it_is_a_request_that_anthropic_takes(body: Json) -> None:
    chat, _ = to_chat(body)
    payload, _ = from_chat(chat, Target("claude-sonnet-4-5", "2023-06-01", 100))
    check(payload)
    assert payload["max_tokens"] >= body["max_tokens"]
    called = [b for turn in payload["messages"] for b in turn["content"] if b["type"] == "tool_use"]
    asked = [b for turn in body["messages"] if turn["role"] == "assistant" for b in turn["content"]]
    assert called == [block for block in asked if block["type"] == "tool_use"]


def chat_of(**fields: Any) -> Json:
    return to_chat({**HELLO, **fields})[0]


def dropped_of(**fields: Any) -> tuple[str, ...]:
    return to_chat({**HELLO, **fields})[1]


def test_the_plainest_request() -> None:
    assert to_chat({**HELLO, "stream": True, "temperature": 0.5, "top_k": 4}) == (
        {
            "model": "m",
            "messages": [{"role": "user", "content": "Hello"}],
            "max_completion_tokens": 9,
            "stream": True,
            "temperature": 0.5,
            "top_k": 4,
        },
        (),
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"stop_sequences": ["a"]}, {"stop": ["a"]}),
        ({"stop_sequences": []}, {}),
        ({"metadata": {"user_id": "me"}}, {"user": "me"}),
        ({"service_tier": "standard_only"}, {"service_tier": "default"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"reasoning_effort": "low"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 8192}}, {"reasoning_effort": "medium"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 32000}}, {"reasoning_effort": "high"}),
        ({"thinking": {"type": "adaptive"}}, {"reasoning_effort": "medium"}),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, {"reasoning_effort": "max"}),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "max"}}, {}),
    ],
)
def test_parameters(fields: Json, expected: Json) -> None:
    assert {k: v for k, v in chat_of(**fields).items() if k not in chat_of()} == expected


def test_long_user_ids_stay_the_same_and_short() -> None:
    one, other = (chat_of(metadata={"user_id": user * 100})["user"] for user in "ab")
    assert len(one) <= 64 and one != other and one == chat_of(metadata={"user_id": "a" * 100})["user"]


@pytest.mark.parametrize(("required", "strict"), [(["a"], True), ([], False)])
@pytest.mark.parametrize("place", ["output_config", "output_format"])
def test_a_schema_for_the_answer(place: str, required: list[str], strict: bool) -> None:
    schema = {**SCHEMA, "required": required, "additionalProperties": False}
    form = {"type": "json_schema", "schema": schema}
    asked = {"output_config": {"format": form}} if place == "output_config" else {place: form}
    described = {"name": "answer", "schema": schema, "strict": strict}
    assert chat_of(**asked)["response_format"] == {"type": "json_schema", "json_schema": described}


@pytest.mark.parametrize(
    "change", [{"required": [[]]}, {"required": 1}, {"properties": [{}]}, {"properties": 5}]
)
def test_a_schema_that_is_none_is_the_providers_to_refuse(change: Json) -> None:
    schema = {**SCHEMA, "additionalProperties": False, **change}
    format_ = chat_of(output_config={"format": {"type": "json_schema", "schema": schema}})["response_format"]
    assert format_["json_schema"]["strict"] is False


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"context_management": {"edits": []}, "speed": "fast"}, ("context_management", "speed")),
        ({"speed": "standard", "mcp_servers": [], "inference_geo": "global"}, ()),
        ({"metadata": {"user_id": "x", "other": 1}}, ("metadata",)),
        ({"output_config": {"effort": "low", "task_budget": 1}}, ("output_config",)),
        ({"cache_control": {"type": "ephemeral"}}, ("cache_control",)),
        ({"service_tier": "other"}, ("service_tier",)),
        ({"a_new_one": 1}, ("a_new_one",)),
    ],
)
def test_what_is_lost_is_named(fields: Json, names: tuple[str, ...]) -> None:
    assert dropped_of(**fields) == names


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"mcp_servers": [{}]}, "mcp_servers"),
        ({"container": "c"}, "container"),
        ({"inference_geo": "us"}, "inference_geo"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"output_config": {"effort": "huge"}}, "output_config"),
        ({"output_config": {"format": {"type": "grammar"}}}, "output_config"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"messages": [*HELLO["messages"], {"role": "assistant", "content": "{"}]}, "messages"),
    ],
)
def test_what_cannot_be_lost_is_refused(fields: Json, param: str) -> None:
    with pytest.raises(Unsupported) as refused:
        to_chat({**HELLO, **fields})
    assert refused.value.param == param


def test_what_is_nested_too_deeply_is_refused() -> None:
    deep: Any = "x"
    for _ in range(300):
        deep = [deep]
    block = {"type": "tool_use", "id": "a", "name": "f", "input": {"x": deep}}
    messages = [{"role": "assistant", "content": [block]}, *HELLO["messages"]]
    with pytest.raises(Unsupported):
        orjson.dumps(to_chat({**HELLO, "messages": messages})[0])
