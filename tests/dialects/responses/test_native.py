"""Requests to a provider that has the Responses API: as they came, and naming nothing that is stored."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from gateway.api import Call, Unsupported
from gateway.dialects.responses.identity import Names
from gateway.dialects.responses.native import native_body

BODY: dict[str, Any] = {
    "model": "alias",
    "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hello"}]}],
    "store": True,
    "stream": True,
    "stream_options": {"include_obfuscation": False},
    "tools": [{"type": "web_search"}, {"type": "code_interpreter", "container": {"type": "auto"}}],
    "client_metadata": {"new": 1},
}


def sent(body: dict[str, Any], ceiling: int | None = None, *, stateful: bool = False) -> dict[str, Any]:
    before = deepcopy(body)
    result = native_body(Call("responses", "gpt-5", body, max_tokens=ceiling), stateful=stateful)
    assert body == before
    return result


def test_only_the_model_is_another() -> None:
    assert sent(BODY) == {**BODY, "model": "gpt-5"}


@pytest.mark.parametrize(("asked", "expected"), [(50, 20), (10, 10), (None, 20)])
def test_the_operators_ceiling(asked: int | None, expected: int) -> None:
    body = {**BODY, "max_output_tokens": asked} if asked else BODY
    assert sent(body, 20)["max_output_tokens"] == expected


def test_what_translated_answers_left_in_the_history_is_taken_out() -> None:
    said = {"type": "message", "id": Names("c").message(), "role": "assistant", "content": []}
    body = {**BODY, "input": [*BODY["input"], {"type": "reasoning", "id": Names("c").reasoning()}, said]}
    assert sent(body)["input"] == [*BODY["input"], {"type": "message", "role": "assistant", "content": []}]


def part(**fields: Any) -> list[Any]:
    return [{"role": "user", "content": [fields]}]


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input"),
        ({"input": part(type="input_image", file_id="file-1")}, "input"),
        ({"input": part(type="input_file", file_id="file-1")}, "input"),
        ({"input": [{"type": "function_call_output", "output": [{"file_id": "file-1"}]}]}, "input"),
        (
            {"input": [{"type": "additional_tools", "tools": [{"type": "x", "vector_store_ids": ["vs_1"]}]}]},
            "input",
        ),
        ({"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}, "tools"),
        ({"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, "tools"),
        ({"tools": [{"type": "image_generation", "input_image_mask": {"file_id": "file-1"}}]}, "tools"),
        ({"input": [{"type": "computer_call_output", "output": {"file_id": "file-1"}}]}, "input"),
        ({"tools": [{"type": "code_interpreter", "container": {"file_ids": ["file-1"]}}]}, "tools"),
    ],
)
def test_what_names_something_stored_goes_only_where_the_operator_allows_it(
    more: dict[str, Any], param: str
) -> None:
    body = {**BODY, **more}
    with pytest.raises(Unsupported) as caught:
        sent(body)
    assert caught.value.param == param
    assert sent(body, stateful=True) == {**body, "model": "gpt-5"}


@pytest.mark.parametrize(
    "more",
    [
        {"previous_response_id": None},
        {"input": "Hello"},
        {"tools": None},
        {
            "tools": [
                {
                    "type": "function",
                    "name": "f",
                    "parameters": {"properties": {"file_id": {"type": "string"}}},
                }
            ]
        },
        {"tools": [{"type": "image_generation", "input_image_mask": {"file_id": None}}]},
    ],
)
def test_nothing_is_nothing(more: dict[str, Any]) -> None:
    assert sent({**BODY, **more}) == {**BODY, **more, "model": "gpt-5"}
