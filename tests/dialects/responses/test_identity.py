"""Ids of translated answers, and reasoning that travels through the client."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.gemini_signature import pack
from gateway.dialects.responses.identity import Names, is_ours, seal, signed, unseal, without_ours


def test_ids_are_the_same_for_the_same_answer_and_fit_openai() -> None:
    one, same, other = Names("chatcmpl-1"), Names("chatcmpl-1"), Names("chatcmpl-2")
    assert one.response() == same.response() != other.response()
    ids = [one.message(), one.message(), one.call(), one.reasoning()]
    assert len(set(ids)) == 4 and [name.partition("_")[0] for name in ids] == ["msg", "msg", "fc", "rs"]
    assert all(is_ours(name) and len(name) <= 64 for name in ids)


@pytest.mark.parametrize("missing", [None, "", 7])
def test_answers_without_an_id_are_told_apart(missing: object) -> None:
    assert Names(missing).response() != Names(missing).response()


@pytest.mark.parametrize("name", ["msg_68a1", "rs_1coo", "coo", "", None, 7, ["rs_coo"]])
def test_what_is_not_ours(name: object) -> None:
    assert not is_ours(name)


@given(st.lists(st.dictionaries(st.text(max_size=9), st.text(max_size=9)), max_size=3))
def test_what_is_sealed_comes_back(blocks: list[dict[str, Any]]) -> None:
    blocks = [{**block, "type": "thinking"} for block in blocks]
    for block in blocks:
        block.pop("index", None)
    assert unseal(seal(blocks)) == blocks


@given(st.none() | st.text() | st.text().map(lambda text: f"coo1.{text}") | st.integers())
def test_nothing_comes_of_what_others_sealed(content: object) -> None:
    assert all(block["type"] in ("thinking", "redacted_thinking") for block in unseal(content))


def test_only_blocks_that_come_whole_are_signed() -> None:
    whole = [
        {"type": "thinking", "thinking": "x", "signature": "s", "index": 0},
        {"type": "redacted_thinking"},
    ]
    others = [{"type": "reasoning.text", "text": "piece"}, "text", 7]
    assert signed(whole + others) == [
        {"type": "thinking", "thinking": "x", "signature": "s"},
        {"type": "redacted_thinking"},
    ]
    assert signed("thinking") == []


def test_a_provider_sees_none_of_it() -> None:
    names = Names("chatcmpl-1")
    packed = pack("call_1", "signature", "gemini-3-pro")
    theirs: list[Any] = [
        {"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAAA", "summary": []},
        {"type": "function_call", "id": "fc_1", "call_id": "call_0", "name": "f", "arguments": "{}"},
        "not an item",
    ]
    assert without_ours(theirs) is theirs
    ours: list[Any] = [
        {"type": "reasoning", "id": names.reasoning(), "summary": []},
        {"type": "reasoning", "summary": [], "encrypted_content": seal([])},
        {"type": "message", "id": names.message(), "role": "assistant", "content": []},
        {"type": "function_call", "id": names.call(), "call_id": packed, "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": packed, "output": "x"},
    ]
    assert without_ours(theirs + ours) == [
        *theirs,
        {"type": "message", "role": "assistant", "content": []},
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "x"},
    ]
