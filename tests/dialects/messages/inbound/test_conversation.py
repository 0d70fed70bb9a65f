"""Anthropic's turns as the messages of a chat."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api import Unsupported
from gateway.dialects.messages.inbound.conversation import messages_of, system_message
from tests.dialects.messages.inbound.turns import PDF, PIXEL

Json = dict[str, Any]
SHOWN = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
USED = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": "é"}}
CALL = {"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": '{"a":"é"}'}}


def text(said: str) -> Json:
    return {"type": "text", "text": said}


def user(*blocks: Json) -> Json:
    return {"role": "user", "content": [*blocks]}


def assistant(*blocks: Json) -> Json:
    return {"role": "assistant", "content": [*blocks]}


def result(content: Any = None, **fields: Any) -> Json:
    given = {} if content is None else {"content": content}
    return {"type": "tool_result", "tool_use_id": "toolu_1", **given, **fields}


def messages(*turns: Json) -> list[Json]:
    return messages_of(turns, {})


def test_the_system_prompt_is_one_message() -> None:
    assert system_message([text("One"), text(""), text("Two")], {}) == [
        {"role": "system", "content": "One\n\nTwo"}
    ]
    assert system_message(None, {}) == system_message("", {}) == []


def test_texts_stay_texts_and_media_become_parts() -> None:
    assert messages(user(text("Hi"))) == [{"role": "user", "content": "Hi"}]
    assert messages(user(text("One"), text("Two"))) == [user(text("One"), text("Two"))]
    file = {"type": "file", "file": {"filename": "a", "file_data": "data:application/pdf;base64,JVBERi0="}}
    document = {"type": "document", "source": PDF, "title": "a", "context": "About"}
    assert messages(user({"type": "image", "source": PIXEL}, document)) == [user(SHOWN, text("About"), file)]


def test_documents_of_text_are_text() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "Once"}
    document = {"type": "document", "source": source, "title": "Tale"}
    found = {"type": "search_result", "title": "T", "source": "s", "content": [text("a"), text("b")]}
    assert messages(user(document, found)) == [
        user(text("Tale"), text("Once"), text("T"), text("s"), text("a\nb"))
    ]


def test_a_call_and_its_result() -> None:
    assert messages(assistant(text("Let me "), text("see."), USED), user(result("rain"), text("And?"))) == [
        {"role": "assistant", "content": "Let me see.", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "rain"},
        {"role": "user", "content": "And?"},
    ]


@pytest.mark.parametrize(
    ("given", "content"),
    [
        (result(), ""),
        (result([text("a"), text("b")]), "a\nb"),
        (result("no", is_error=True), "Error: no"),
        (result(is_error=True), "Error: "),
    ],
)
def test_what_a_result_says(given: Json, content: str) -> None:
    (_, found) = messages(assistant(USED), user(given))
    assert found == {"role": "tool", "tool_call_id": "toolu_1", "content": content}


def test_an_image_in_a_result_follows_it() -> None:
    _, tool, shown = messages(
        assistant(USED), user(result([{"type": "image", "source": PIXEL}]), text("See?"))
    )
    assert tool["content"] == "(The output is not text; it follows.)"
    assert shown == user(text("Output of the tool call toolu_1:"), SHOWN, text("See?"))


def test_results_in_turns_of_their_own_come_before_what_else_is_said() -> None:
    second = {**USED, "id": "toolu_2"}
    found = messages(
        assistant(USED, second),
        user(result("a"), text("Hm")),
        user({**result("b"), "tool_use_id": "toolu_2"}),
    )
    assert [message["role"] for message in found] == ["assistant", "tool", "tool", "user"]


def test_thinking_goes_along_beside_the_text() -> None:
    signed = {"type": "thinking", "thinking": "Hm", "signature": "s"}
    ours = {"type": "thinking", "thinking": "So", "signature": ""}
    (message, _) = messages(assistant(signed, ours, text("Yes")), user(text("Why?")))
    assert message == {
        "role": "assistant",
        "content": "Yes",
        "reasoning_content": "So",
        "reasoning_details": [signed],
    }
    assert messages(assistant(signed), user(text("Why?"))) == [{"role": "user", "content": "Why?"}]


def test_a_system_turn_keeps_its_place() -> None:
    found = messages(user(text("Hi")), {"role": "system", "content": "Now French."})
    assert [message["role"] for message in found] == ["user", "system"]


def test_what_cannot_be_heeded_is_named() -> None:
    dropped: dict[str, None] = {}
    marked = {**text("Hi"), "cache_control": {"type": "ephemeral"}}
    cited = {"type": "document", "source": PDF, "citations": {"enabled": True}}
    messages_of([user(marked, cited)], dropped)
    assert [*dropped] == ["cache_control", "citations"]


@pytest.mark.parametrize(
    "turn",
    [
        user({"type": "image", "source": {"type": "file", "file_id": "file_1"}}),
        user({"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}}),
        user({"type": "container_upload", "file_id": "file_1"}),
        assistant({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}),
        assistant({"type": "image", "source": PIXEL}),
        {"role": "tool", "content": "x"},
    ],
)
def test_what_only_anthropic_knows_is_refused(turn: Json) -> None:
    with pytest.raises(Unsupported) as refused:
        messages(turn, user(text("Hi")))
    assert refused.value.param == "messages"


def test_what_is_lost_inside_of_turns_is_named() -> None:
    dropped: dict[str, None] = {}
    turn = {**user({**text("a"), "weight": 5}, {**text("b"), "citations": []}), "color": 1}
    answered = assistant({**USED, "caller": {"type": "direct"}})
    messages_of([turn, answered, user(result("r"))], dropped)
    assert list(dropped) == ["messages.color", "messages.weight"]
