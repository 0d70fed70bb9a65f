"""Items as messages: turns, calls and their outputs, content, and reasoning that comes back."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api import Unsupported
from gateway.dialects.responses.conversation import Conversation
from gateway.dialects.responses.identity import Names, seal

USER = {"role": "user", "content": "Hello"}
BLOCK = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
NAMES = Names("chatcmpl-1")


def messages(*items: Any) -> list[dict[str, Any]]:
    talk = Conversation(None, {})
    talk.read(list(items))
    return talk.messages


def content(*parts: Any) -> Any:
    return messages({"role": "user", "content": list(parts)})[0]["content"]


def refusal(*items: Any) -> Unsupported:
    with pytest.raises(Unsupported) as caught:
        messages(*items)
    assert caught.value.param == "input"
    return caught.value


def call(number: int, **more: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": f"call_{number}", "name": "f", "arguments": "{}", **more}


def chat_call(number: int) -> dict[str, Any]:
    return {"id": f"call_{number}", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def output(number: int, said: Any = "sunny") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": f"call_{number}", "output": said}


def said(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def thought(text: str = "Hm.", **more: Any) -> dict[str, Any]:
    summary = [{"type": "summary_text", "text": text}]
    return {"type": "reasoning", "id": NAMES.reasoning(), "summary": summary, **more}


def test_roles() -> None:
    assert messages(
        USER,
        {"type": "message", "role": "developer", "content": "Be brief."},
        {"role": "assistant", "content": "Hi."},
    ) == [
        USER,
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "content": "Hi."},
    ]


def test_what_the_model_did_in_one_turn_is_one_message() -> None:
    assert messages(USER, said("Let me look."), call(1), call(2), output(1), output(2), said("Sun.")) == [
        USER,
        {"role": "assistant", "content": "Let me look.", "tool_calls": [chat_call(1), chat_call(2)]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
        {"role": "tool", "tool_call_id": "call_2", "content": "sunny"},
        {"role": "assistant", "content": "Sun."},
    ]


def test_a_text_after_a_call_belongs_to_its_turn() -> None:
    assert messages(call(1), said("Wait."), output(1))[0] == {
        "role": "assistant",
        "content": "Wait.",
        "tool_calls": [chat_call(1)],
    }


def test_two_texts_are_two_messages() -> None:
    assert [m["content"] for m in messages(said("One."), said("Two."))] == ["One.", "Two."]


def test_a_refusal() -> None:
    part = {"type": "refusal", "refusal": "No."}
    assert messages({"role": "assistant", "content": [part]}) == [
        {"role": "assistant", "content": "", "refusal": "No."}
    ]


def test_an_output_in_parts() -> None:
    parts = [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": "https://e/x.png"}]
    assert messages(output(1, parts))[0]["content"] == [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "https://e/x.png"}},
    ]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "input_text", "text": "a"}, {"type": "text", "text": "a"}),
        (
            {"type": "input_image", "image_url": "data:x", "detail": "low"},
            {"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}},
        ),
        (
            {"type": "input_file", "file_data": "data:x", "filename": "a.pdf"},
            {"type": "file", "file": {"file_data": "data:x", "filename": "a.pdf"}},
        ),
        (
            {"type": "input_file", "file_url": "https://e/a.pdf"},
            {"type": "file", "file": {"file_data": "https://e/a.pdf"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        ),
    ],
)
def test_parts(part: dict[str, Any], expected: dict[str, Any]) -> None:
    other = {"type": "input_text", "text": "b"}
    assert content(part, other) == [expected, {"type": "text", "text": "b"}]


@pytest.mark.parametrize(
    "mark",
    [
        {"prompt_cache_breakpoint": {"mode": "explicit"}},
        {"cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ],
)
def test_a_part_keeps_its_cache_marker(mark: dict[str, Any]) -> None:
    part = {"type": "input_text", "text": "a", **mark}
    assert content(part) == [{"type": "text", "text": "a", **mark}]
    assert messages(output(1, [part]))[0]["content"] == content(part)
    image = {"type": "input_image", "image_url": "https://e/x.png", **mark}
    assert content(image) == [{"type": "image_url", "image_url": {"url": "https://e/x.png"}, **mark}]


def test_one_text_alone_is_a_string() -> None:
    assert content({"type": "input_text", "text": "a"}) == "a"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_image", "file_id": "file-1"},
        {"type": "input_file", "file_id": "file-1"},
        {"type": "input_video"},
        {"type": "input_text"},
        {"type": "input_image"},
    ],
)
def test_parts_without_an_equivalent(part: dict[str, Any]) -> None:
    refusal({"role": "user", "content": [part]})


@pytest.mark.parametrize(
    "item",
    [
        {"type": "item_reference", "id": "msg_1"},
        {"type": "web_search_call", "id": "ws_1"},
        {"type": "custom_tool_call", "call_id": "c", "name": "n", "input": "i"},
        {"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}", "namespace": "functions"},
        {"type": "message", "role": "tool", "content": "x"},
        {"type": 7},
        {"type": "message", "role": "assistant", "content": [{"type": "input_image", "image_url": "x"}]},
    ],
)
def test_items_without_an_equivalent(item: dict[str, Any]) -> None:
    refusal(USER, item)


def test_what_an_error_repeats_is_short_and_printable() -> None:
    assert "\n" not in refusal({"type": "a\nb"}).reason
    assert len(refusal({"type": "x" * 1000}).reason) < 120


def test_reasoning_goes_back_to_who_made_it() -> None:
    details: dict[str, Any] = {"encrypted_content": seal([BLOCK])}
    assert messages(USER, thought(**details), call(1), output(1), thought("Yes."), said("Sun.")) == [
        USER,
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "Hm.",
            "reasoning_details": [BLOCK],
            "tool_calls": [chat_call(1)],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
        {"role": "assistant", "content": "Sun.", "reasoning_content": "Yes."},
    ]


def test_reasoning_is_known_without_its_id() -> None:
    item = thought(encrypted_content=seal([BLOCK]))
    del item["id"]
    assert messages(item, said("Sun."))[0]["reasoning_details"] == [BLOCK]


def test_reasoning_between_calls_belongs_to_their_turn() -> None:
    [turn] = messages(thought("One."), call(1), thought("Two."), call(2))
    assert turn["reasoning_content"] == "One.Two." and len(turn["tool_calls"]) == 2


def test_reasoning_of_others_and_reasoning_that_led_to_nothing_are_left_out() -> None:
    foreign = {"type": "reasoning", "id": "rs_68a1", "summary": [], "encrypted_content": "gAAAA"}
    assert messages(foreign, said("Hi."), thought(), USER, said("Ho.")) == [
        {"role": "assistant", "content": "Hi."},
        USER,
        {"role": "assistant", "content": "Ho."},
    ]
