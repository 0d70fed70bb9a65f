"""Histories as turns of Anthropic's."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api import Unsupported
from gateway.dialects.gemini_signature import pack
from gateway.dialects.messages.conversation import Conversation
from gateway.dialects.messages.parts import Marks

Json = dict[str, Any]
USER = {"role": "user", "content": "hi"}


def read(*messages: Json, system_turns: bool = False, prefill: bool = True) -> Conversation:
    talk = Conversation(Marks(), {}, system_turns=system_turns, prefill=prefill)
    talk.read(messages)
    return talk


def calls(*idents: str, arguments: str = "{}") -> Json:
    function = {"name": "f", "arguments": arguments}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": ident, "type": "function", "function": function} for ident in idents],
    }


def result(ident: str, content: Any = "r") -> Json:
    return {"role": "tool", "tool_call_id": ident, "content": content}


def said(talk: Conversation, turn: int) -> list[str]:
    """The texts of a turn, tool results as their id."""
    return [block.get("text") or block["tool_use_id"] for block in talk.turns[turn]["content"]]


def test_results_come_first_in_their_order_and_the_user_after_them() -> None:
    talk = read(USER, calls("a", "b"), result("b"), {"role": "user", "content": "and"}, result("a"))
    assert [turn["role"] for turn in talk.turns] == ["user", "assistant", "user"]
    assert said(talk, 2) == ["b", "a", "and"]


def test_a_missing_result_is_made_up_as_an_error() -> None:
    talk = read(USER, calls("a", "b"), result("a"), {"role": "assistant", "content": "done"}, USER)
    made = talk.turns[2]["content"][1]
    assert made["tool_use_id"] == "b" and made["is_error"] is True


def test_a_result_without_its_call_becomes_text() -> None:
    assert said(read(USER, result("gone", "42")), 0) == ["hi", "Result of an earlier tool call:", "42"]


def test_ids_outside_the_alphabet_stay_consistent_and_repeated_ones_unique() -> None:
    messages = [
        USER,
        calls("f:0", "x"),
        result("f:0"),
        result("x"),
        calls("f:0", "x"),
        result("x"),
        result("f:0"),
    ]
    talk = read(*messages)
    first, second = ([block["id"] for block in talk.turns[turn]["content"]] for turn in (1, 3))
    assert said(talk, 2) == first and said(talk, 4) == second[::-1]
    assert len({*first, *second}) == 4 and first[1] == "x"
    assert read(*messages).turns == talk.turns


def test_ids_lose_the_signature_of_another_provider() -> None:
    packed = pack("fc1", "S" * 2000, "gemini-3-pro")
    talk = read(USER, calls(packed), result(packed))
    assert talk.turns[1]["content"][0]["id"] == talk.turns[2]["content"][0]["tool_use_id"] == "fc1"


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ("", {}),
        (" ", {}),
        ('{"a": 1}', {"a": 1}),
        ("[1]", {"raw_arguments": "[1]"}),
        ("{", {"raw_arguments": "{"}),
    ],
)
def test_arguments_are_objects(arguments: str, sent: Json) -> None:
    talk = read(USER, calls("a", arguments=arguments), result("a"))
    assert talk.turns[1]["content"][0]["input"] == sent


def test_later_system_messages() -> None:
    late = {"role": "system", "content": "Rules."}
    native = read(USER, late, {"role": "assistant", "content": "ok"}, USER, system_turns=True)
    assert [turn["role"] for turn in native.turns] == ["user", "system", "assistant", "user"]
    inside = read(USER, late, USER, system_turns=True)
    assert said(inside, 0) == ["hi", "<system>\nRules.\n</system>", "hi"]
    older = read(USER, late)
    assert said(older, 0) == ["hi", "<system>\nRules.\n</system>"]


def test_an_empty_answer_is_no_turn() -> None:
    empty = {
        "role": "assistant",
        "content": "",
        "reasoning_details": [{"type": "redacted_thinking", "data": "x"}],
    }
    late = {"role": "system", "content": "Rules."}
    talk = read(USER, late, empty, USER, system_turns=True)
    assert [turn["role"] for turn in talk.turns] == ["user"]


def test_a_conversation_of_system_messages_only_has_a_user_turn() -> None:
    talk = read({"role": "system", "content": "Begin."})
    assert said(talk, 0) == ["(empty message)"] and talk.system[0]["text"] == "Begin."


def test_prefill() -> None:
    assert said(read(USER, {"role": "assistant", "content": "So: "}), 1) == ["So:"]
    with pytest.raises(Unsupported, match="messages"):
        read(USER, {"role": "assistant", "content": "So: "}, prefill=False)


def test_thinking_comes_first_and_unchanged() -> None:
    mine = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    foreign = {"type": "reasoning.text", "text": "x"}
    unsigned = {"type": "thinking", "thinking": "x", "signature": ""}
    message = {
        **calls("a"),
        "content": "Look.",
        "reasoning_details": [foreign, unsigned, {**mine, "index": 0}],
    }
    talk = read(USER, message, result("a"))
    assert [block["type"] for block in talk.turns[1]["content"]] == ["thinking", "text", "tool_use"]
    assert list(talk.turns[1]["content"][0].items()) == list(mine.items())
    assert talk.settled is False
    assert read(USER, calls("a"), result("a")).settled is True
    assert read(USER, calls("a"), result("a"), USER).settled is False


def test_what_an_assistant_said_otherwise() -> None:
    spoken = {"role": "assistant", "content": None, "audio": {"id": "a", "transcript": "Spoken."}}
    declined = {"role": "assistant", "content": None, "refusal": "No."}
    assert said(read(USER, spoken, USER), 1) == ["Spoken."]
    assert said(read(USER, declined, USER), 1) == ["No."]
    with pytest.raises(Unsupported):
        read(USER, {"role": "assistant", "content": None, "audio": {"id": "a"}})


@pytest.mark.parametrize(
    "message",
    [
        {"role": "function", "name": "f", "content": "x"},
        {"role": "assistant", "function_call": {"name": "f", "arguments": ""}},
        {
            "role": "assistant",
            "tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "c", "input": ""}}],
        },
    ],
)
def test_what_is_not_translated(message: Json) -> None:
    with pytest.raises(Unsupported) as caught:
        read(USER, message)
    assert caught.value.param == "messages"


def test_what_is_lost_inside_of_messages_is_named() -> None:
    dropped: dict[str, None] = {}
    talk = Conversation(Marks(), dropped, system_turns=False, prefill=True)
    part = {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}, "weight": 5}
    answer: dict[str, Any] = {
        "role": "assistant",
        "content": "b",
        "refusal": None,
        "annotations": [],
        "images": [{}],
    }
    talk.read([{"role": "user", "content": [part], "color": 1}, {**answer, "reasoning_content": "c"}])
    assert list(dropped) == ["messages.color", "messages.weight", "messages.images"]


def test_a_refusal_beside_a_text_is_said_as_well() -> None:
    answer = {"role": "assistant", "content": "Well.", "refusal": "No."}
    assert said(read(USER, answer, USER), 1) == ["Well.", "No."]
