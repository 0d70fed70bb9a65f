"""Media of a translated chat, as OpenAI's dialect takes them."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api import Unsupported
from gateway.dialects.chat_media import for_openai

Json = dict[str, Any]

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
FILE = {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}}


def text(said: str) -> Json:
    return {"type": "text", "text": said}


def tool(number: int, *parts: Json) -> Json:
    return {"role": "tool", "tool_call_id": f"call_{number}", "content": list(parts)}


def test_texts_are_left_alone() -> None:
    messages: list[Json] = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": None, "tool_calls": []},
    ]
    assert for_openai(messages) is messages


def test_what_a_user_shows_stays_where_it_is() -> None:
    messages = [{"role": "user", "content": [text("a"), IMAGE, FILE]}]
    assert for_openai(messages) == messages


def test_what_tools_show_follows_all_their_outputs() -> None:
    found = for_openai([tool(1, text("a"), IMAGE, text("b")), tool(2, FILE)])
    assert found == [
        {"role": "tool", "tool_call_id": "call_1", "content": "a\nb"},
        {"role": "tool", "tool_call_id": "call_2", "content": "(The output is not text; it follows.)"},
        {
            "role": "user",
            "content": [
                text("Output of the tool call call_1:"),
                IMAGE,
                text("Output of the tool call call_2:"),
                FILE,
            ],
        },
    ]


@pytest.mark.parametrize("said", ["And now?", [text("And now?")]])
def test_it_comes_before_what_the_user_says_next(said: Any) -> None:
    _, shown = for_openai([tool(1, IMAGE), {"role": "user", "content": said}])
    assert shown["content"] == [text("Output of the tool call call_1:"), IMAGE, text("And now?")]


def test_it_comes_before_what_the_model_says_next() -> None:
    answer = {"role": "assistant", "content": "A dot."}
    assert [message["role"] for message in for_openai([tool(1, IMAGE), answer])] == [
        "tool",
        "user",
        "assistant",
    ]


def test_an_output_in_parts_of_text_stays_as_it_is() -> None:
    assert for_openai([tool(1, text("a"), text("b"))]) == [tool(1, text("a"), text("b"))]


def test_a_request_is_not_changed() -> None:
    message = tool(1, IMAGE)
    following = {"role": "user", "content": [text("a")]}
    for_openai([message, following])
    assert message["content"] == [IMAGE] and following["content"] == [text("a")]


@pytest.mark.parametrize("address", ["https://e.x/a.pdf", "http://e.x/a.pdf", "gs://bucket/a.pdf"])
@pytest.mark.parametrize("role", ["user", "tool"])
def test_a_file_by_its_address_is_for_others(address: str, role: str) -> None:
    part = {"type": "file", "file": {"file_data": address}}
    with pytest.raises(Unsupported) as refused:
        for_openai([{"role": role, "tool_call_id": "call_1", "content": [part]}])
    assert refused.value.param == "messages"


def test_a_file_of_text_may_hold_an_address() -> None:
    part = {"type": "file", "file": {"file_data": "data:,https://e.x"}}
    assert for_openai([{"role": "user", "content": [part]}])[0]["content"] == [part]
