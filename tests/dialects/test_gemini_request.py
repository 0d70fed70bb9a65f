"""Every parameter of a chat request."""

from typing import Any

import pytest

from gateway.api import Call, Unsupported
from gateway.dialects.gemini_request import PARAMETERS, drop, generate, refuse

Json = dict[str, Any]

TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]


def request(model: str = "gemini-2.5-flash", limit: int | None = None, **parameters: Any) -> tuple[Json, Any]:
    body = {"model": "x", "messages": [{"role": "user", "content": "hi"}], **parameters}
    return generate(Call("chat", model, body, max_tokens=limit))


def config(model: str = "gemini-2.5-flash", limit: int | None = None, **parameters: Any) -> Any:
    return request(model, limit, **parameters)[0].get("generationConfig")


def test_nothing_is_added() -> None:
    body, dropped = request(stream=True, stream_options={"include_usage": True}, temperature=None)
    assert body == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    assert dropped == ()


def test_sampling_parameters_keep_their_values() -> None:
    sampling: Json = {
        "temperature": 0,
        "top_p": 0.5,
        "top_k": 3,
        "presence_penalty": -2,
        "frequency_penalty": 1.5,
    }
    assert config(**sampling, seed=7, n=2, stop="END") == {
        "temperature": 0,
        "topP": 0.5,
        "topK": 3,
        "presencePenalty": -2,
        "frequencyPenalty": 1.5,
        "seed": 7,
        "candidateCount": 2,
        "stopSequences": ["END"],
    }


@pytest.mark.parametrize(("seed", "expected"), [(2**31, -(2**31)), (-1, -1), (2**32 + 5, 5), (-(2**63), 0)])
def test_a_seed_is_folded_to_32_bits(seed: int, expected: int) -> None:
    assert config(seed=seed) == {"seed": expected}


@pytest.mark.parametrize(
    ("parameters", "limit", "expected"),
    [
        ({"max_tokens": 10}, None, 10),
        ({"max_completion_tokens": 20}, None, 20),
        ({"max_tokens": 10, "max_completion_tokens": 20}, None, 20),
        ({"max_tokens": 10}, 5, 5),
        ({}, 5, 5),
    ],
)
def test_the_limit_of_tokens(parameters: Json, limit: int | None, expected: int) -> None:
    assert config(limit=limit, **parameters) == {"maxOutputTokens": expected}


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-pro", "none", {"thinkingBudget": 128}),
        ("gemini-2.5-flash", "minimal", {"thinkingBudget": 1024, "includeThoughts": True}),
        ("gemini-2.5-flash", "medium", {"thinkingBudget": 8192, "includeThoughts": True}),
        ("gemini-2.5-pro", "max", {"thinkingBudget": 24576, "includeThoughts": True}),
        ("gemini-3-flash", "none", {"thinkingLevel": "MINIMAL"}),
        ("gemini-3-pro", "none", {"thinkingLevel": "LOW"}),
        ("gemini-3.1-pro", "minimal", {"thinkingLevel": "LOW", "includeThoughts": True}),
        ("gemini-3-flash", "medium", {"thinkingLevel": "MEDIUM", "includeThoughts": True}),
        ("gemini-flash-latest", "xhigh", {"thinkingLevel": "XHIGH", "includeThoughts": True}),
        ("gemini-3-pro", "max", {"thinkingLevel": "XHIGH", "includeThoughts": True}),
    ],
)
def test_effort_is_a_budget_or_a_level(model: str, effort: str, expected: Json) -> None:
    assert config(model, reasoning_effort=effort) == {"thinkingConfig": expected}


def test_effort_is_dropped_where_models_do_not_think() -> None:
    assert request("gemini-2.0-flash", reasoning_effort="low")[1] == ("reasoning_effort",)


def test_logprobs() -> None:
    assert config(logprobs=True, top_logprobs=3) == {"responseLogprobs": True, "logprobs": 3}
    assert config(logprobs=False, top_logprobs=3) is None


def test_response_formats() -> None:
    schema = {"type": "object", "$ref": "#/$defs/a"}
    named = {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": schema}}
    assert config(response_format={"type": "text"}) is None
    assert config(response_format={"type": "json_object"}) == {"responseMimeType": "application/json"}
    assert config(response_format=named) == {
        "responseMimeType": "application/json",
        "responseJsonSchema": schema,
    }
    assert config("gemini-3-pro", response_format={"type": "json_object"}, tools=TOOLS) is not None


def test_tools_and_their_choice() -> None:
    body, dropped = request(tools=TOOLS, tool_choice="required", parallel_tool_calls=False)
    assert body["tools"] == [
        {"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}
    ]
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}}
    assert dropped == ("parallel_tool_calls",)


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_a_choice_without_tools_is_none(choice: str) -> None:
    body, dropped = request(tools=[], tool_choice=choice, parallel_tool_calls=False)
    assert "tools" not in body and "toolConfig" not in body and dropped == ()


def test_what_is_not_there_cannot_be_forced() -> None:
    with pytest.raises(Unsupported) as refused:
        request(tool_choice="required")
    assert refused.value.param == "tool_choice"


def test_service_tiers() -> None:
    assert request(service_tier="flex")[0]["serviceTier"] == "flex"
    assert request(service_tier="auto")[1] == ()
    assert request(service_tier="scale")[1] == ("service_tier",)


@pytest.mark.parametrize("name", [name for name, handler in PARAMETERS.items() if handler is drop])
def test_dropped_parameters_are_named_unless_they_say_nothing(name: str) -> None:
    told: Json = {name: {"a": 1}}
    empty: Json = {name: {}}
    assert request(**told)[1] == (name,)
    assert request(**empty)[1] == ()


def test_an_unknown_parameter_is_dropped_and_named() -> None:
    body, dropped = request(foo=1)
    assert dropped == ("foo",) and "foo" not in body


@pytest.mark.parametrize("name", [name for name, handler in PARAMETERS.items() if handler is refuse])
def test_refused_parameters_are_named(name: str) -> None:
    asked: Json = {name: {"a": 1}}
    with pytest.raises(Unsupported) as caught:
        request(**asked)
    assert caught.value.param == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 9),
        ("n", "2"),
        ("stop", ["a", "b", "c", "d", "e", "f"]),
        ("stop", 5),
        ("seed", "x"),
        ("modalities", ["text", "audio"]),
        ("response_format", {"type": "grammar"}),
        ("response_format", 5),
        ("messages", []),
        ("messages", [5]),
        ("messages", "hi"),
    ],
)
def test_values_without_equivalent_are_refused(name: str, value: Any) -> None:
    with pytest.raises(Unsupported) as caught:
        request(**{name: value})
    assert caught.value.param == name


def test_json_with_tools_is_refused_before_generation_3() -> None:
    with pytest.raises(Unsupported):
        request(tools=TOOLS, response_format={"type": "json_object"})


def test_strict_tools_lose_their_strictness_and_say_so() -> None:
    strict = [{"type": "function", "function": {"name": "f", "strict": True}}]
    assert request(tools=strict)[1] == ("tools.strict",)
