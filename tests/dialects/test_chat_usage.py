"""Token figures and costs in OpenAI's shape."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import Usage
from gateway.dialects.chat_usage import encode_chunk, openai_usage, parse_usage, set_cost, with_cost

counts = st.integers(0, 10**8)
usages = st.builds(Usage, counts, counts, counts, counts, counts, counts, counts)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)


def figures(prompt: object, completion: object, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, **more}


@given(usages)
def test_there_and_back(usage: Usage) -> None:
    assert parse_usage(openai_usage(usage)) == usage


def test_details_are_parts_of_the_totals() -> None:
    value = figures(
        100,
        50,
        total_tokens=150,
        prompt_tokens_details={"cached_tokens": 40, "cache_write_tokens": 10, "audio_tokens": 5},
        completion_tokens_details={
            "reasoning_tokens": 30,
            "audio_tokens": 2,
            "accepted_prediction_tokens": 1,
        },
    )
    assert parse_usage(value) == Usage(
        input=45, cache_read=40, cache_write=10, audio_input=5, output=18, reasoning=30, audio_output=2
    )


def test_embeddings_have_no_completion() -> None:
    figures = {"prompt_tokens": 7, "total_tokens": 7}
    assert parse_usage(figures, writes=False) == Usage(input=7)
    assert parse_usage(figures) == Usage(input=7, estimated=True)


def test_deepseek_names_its_cache_otherwise() -> None:
    assert parse_usage(figures(10, 1, prompt_cache_hit_tokens=4)) == Usage(input=6, cache_read=4, output=1)


def test_reasoning_beside_the_completion_tokens() -> None:
    value = figures(10, 5, total_tokens=35, completion_tokens_details={"reasoning_tokens": 20})
    assert parse_usage(value) == Usage(input=10, output=5, reasoning=20)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "9",
        {},
        figures(None, 1),
        figures("9", 1),
        figures(True, 1),
        figures(-1, 1),
        figures(1.5, 1),
        figures(10**9 + 1, 1),
        figures(4294967295, 1),
        figures(None, 1, total_tokens=5),
    ],
)
def test_figures_that_make_no_sense(value: object) -> None:
    assert parse_usage(value) is None


@pytest.mark.parametrize("odd", ["1", -1, None, 1.5, float("inf"), float("nan"), True, [1]])
def test_an_output_that_makes_no_sense_costs_the_input_nothing(odd: object) -> None:
    value = figures(5000, odd, prompt_tokens_details={"cached_tokens": 1000})
    assert parse_usage(value) == Usage(input=4000, cache_read=1000, estimated=True)
    assert parse_usage(value, writes=False) == Usage(input=4000, cache_read=1000)


def test_figures_may_be_floats() -> None:
    details = {"cached_tokens": 2.0}
    assert parse_usage(figures(5000.0, 7.0, prompt_tokens_details=details)) == Usage(4998, 2, output=7)


def test_what_writes_nothing_may_name_but_a_total() -> None:
    for value in ({"total_tokens": 7700}, figures(None, None, total_tokens=7700)):
        assert parse_usage(value, writes=False) == Usage(input=7700)
        assert parse_usage(value) is None
    assert parse_usage(figures(-1, 0, total_tokens=7700), writes=False) is None


@pytest.mark.parametrize("details", [None, [], "x", {"cached_tokens": -1}, {"cached_tokens": True}, {}])
def test_details_that_make_no_sense_are_none(details: object) -> None:
    assert parse_usage(figures(5, 1, prompt_tokens_details=details)) == Usage(input=5, output=1)


def test_details_larger_than_the_total_are_cut() -> None:
    details = {"cached_tokens": 8, "cache_write_tokens": 8, "audio_tokens": 8}
    assert parse_usage(figures(10, 0, prompt_tokens_details=details)) == Usage(cache_read=8, cache_write=2)


@given(st.dictionaries(st.sampled_from([*openai_usage(Usage()), "prompt_cache_hit_tokens"]), anything))
def test_anything_gives_counts_that_add_up_or_none(value: dict[str, Any]) -> None:
    usage = parse_usage(value)
    if usage is not None:
        assert usage.prompt == value["prompt_tokens"]
        assert min(usage.input, usage.cache_read, usage.output, usage.reasoning) >= 0


@given(st.integers(0, 10**15), st.sampled_from([b"%b", b"data: %b\n\n", b"data:%b\r\n\r\n"]))
def test_a_cost_is_exact_and_nothing_else_changes(nano: int, frame: bytes) -> None:
    body = b'{ "a":1e-9,"choices":[{"text":"\\"usage\\": {"}],"usage" : { "prompt_tokens":1}, "z":0}'
    raw = frame % body
    priced = with_cost(raw, nano)
    head, _, rest = raw.partition(b'"usage" : {')
    assert priced.startswith(head) and priced.endswith(rest)
    value = json.loads(priced[priced.index(b"{") :], parse_float=Decimal)
    assert value["usage"] == {"cost": Decimal(nano) / 10**9, "prompt_tokens": 1}


@pytest.mark.parametrize(
    ("nano", "written"),
    [
        (None, b"null"),
        (0, b"0"),
        (1, b"0.000000001"),
        (123_000, b"0.000123"),
        (10**9, b"1"),
        (10**10, b"10"),
        (12_500_000_000, b"12.5"),
    ],
)
def test_amounts_are_written_without_exponent(nano: int | None, written: bytes) -> None:
    assert with_cost(b'{"usage":{}}', nano) == b'{"usage":{"cost":%b}}' % written
    value: dict[str, Any] = {"usage": {"prompt_tokens": 1}}
    set_cost(value, nano)
    assert orjson.dumps(value) == b'{"usage":{"prompt_tokens":1,"cost":%b}}' % written


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [{"usage": {"a": 1}}], "usage": {"prompt_tokens": 1}},
        {"usage": {"prompt_tokens": 1}, "x_groq": {"usage": {"a": 1}}},
        {"id": "usage", "usage": {"prompt_tokens": 1}},
        {'a\\"usage': 1, "usage": {"prompt_tokens": 1}},
        {'"usage': {"b": 1}, "usage": {"prompt_tokens": 1}},
        {"usage": {"prompt_tokens": 1, "cost": 7}},
        {"usage": {"prompt_tokens": 1, "cost_details": {"cost": 7}}},
    ],
)
@pytest.mark.parametrize("spaced", [True, False])
def test_where_usage_is_ambiguous_the_right_one_gets_the_cost(body: dict[str, Any], spaced: bool) -> None:
    raw = json.dumps(body, separators=(", ", ": ") if spaced else (",", ":")).encode()
    expected = {**body, "usage": {**body["usage"], "cost": 0.5}}
    assert json.loads(with_cost(raw, 500_000_000)) == expected
    event = with_cost(b"data: " + raw + b"\n\n", 500_000_000)
    assert event.endswith(b"\n\n")
    assert json.loads(event.removeprefix(b"data: ")) == expected


def test_an_escaped_key_and_an_event_of_several_lines() -> None:
    assert orjson.loads(with_cost(b'{"\\u0075sage":{"prompt_tokens":1}}', 1))["usage"]["cost"] == 1e-9
    event = with_cost(b'data: {"usage":\ndata: {"prompt_tokens":1}}\n\n', 1)
    assert event == b'data: {"usage":{"prompt_tokens":1,"cost":0.000000001}}\n\n'
    assert with_cost(b'data: {"usage":{"cost":7}}\r\r', 10**9) == b'data: {"usage":{"cost":1}}\n\n'


def test_a_value_without_usage_gets_no_cost() -> None:
    value: dict[str, Any] = {"usage": None}
    set_cost(value, 1)
    assert value == {"usage": None}


def test_encode_chunk() -> None:
    assert encode_chunk({"a": "\u2028"}) == 'data: {"a":"\u2028"}\n\n'.encode()
