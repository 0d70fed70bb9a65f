"""What a request line has of a prompt and its answer: whole or visibly cut, and free of credentials."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import masking
from gateway.content import BOUND, STREAM_BOUND, Content
from gateway.dialects.client import ClientDialect
from gateway.dialects.openai_client import CHAT
from gateway.dialects.replay import as_stream
from gateway.logs import SECRET, hidden
from gateway.redact import Redactor

KNOWN = "canary/of+a.provider-2f81"
ASKED = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
ANSWER = {
    "id": "1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hel lo"}, "logprobs": None,
                 "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1},
}  # fmt: skip
STREAM = as_stream(ANSWER, "chat", include_usage=True)

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)


def content(asked: Any = ASKED, *redactors: Redactor, dialect: ClientDialect = CHAT) -> Content:
    data = asked if isinstance(asked, bytes) else orjson.dumps(asked)
    return Content(data, dialect.assembly, redactors)


def shown(content: Content) -> dict[str, Any]:
    line = asyncio.run(content.encoded())
    assert len(line.decode().splitlines()) == 1
    found: dict[str, Any] = orjson.loads(line)
    return found


def test_request_and_answer_are_shown_as_they_are() -> None:
    of = content()
    of.answered(orjson.dumps(ANSWER, option=orjson.OPT_INDENT_2))
    assert shown(of) == {"request": ASKED, "answer": ANSWER}


def test_without_an_answer() -> None:
    assert shown(content()) == {"request": ASKED, "answer": None}


@pytest.mark.parametrize("size", [1, 100, len(STREAM)])
def test_a_stream_is_put_together(size: int) -> None:
    of = content()
    for start in range(0, len(STREAM), size):
        of.streamed(STREAM[start : start + size])
    assert shown(of)["answer"] == ANSWER


def test_a_stream_that_was_cut_is_shown_as_it_came() -> None:
    of = content()
    first = STREAM[: STREAM.index(b"\n\n") + 2]
    of.streamed(first)
    assert shown(of)["answer"] == first.decode()


def test_a_stream_too_long_to_be_put_together_begins_as_it_came() -> None:
    of = content()
    for _ in range(STREAM_BOUND // len(STREAM) + 2):
        of.streamed(STREAM)
        assert of.size <= STREAM_BOUND + BOUND
    assert of.size < 2 * BOUND
    assert shown(of)["answer"] == (STREAM * 1000)[:BOUND].decode() + "…"


def test_what_is_too_long_is_cut_for_everyone_to_see() -> None:
    asked = orjson.dumps({"input": "é" * BOUND})
    of = content(asked)
    of.answered(b'"' + b"a" * (3 * BOUND) + b'"')
    found = shown(of)
    assert found["request"] == asked[:BOUND].decode("utf-8", "ignore") + "…"
    assert found["answer"] == '"' + "a" * (BOUND - 1) + "…"
    assert of.size == 2 * (BOUND + 1)


@pytest.mark.parametrize("answer", [b"no json \xff", b"{", b"[" * 500 + b"]" * 500])
def test_what_is_no_json_is_shown_as_text(answer: bytes) -> None:
    of = content()
    of.answered(answer)
    assert shown(of)["answer"] == answer.decode("utf-8", "replace")


def test_what_is_forgotten_is_not_shown() -> None:
    of = content()
    of.streamed(STREAM)
    of.forget()
    assert of.size == 0
    assert shown(of) == {"request": None, "answer": None}


@given(values)
def test_any_json_makes_one_line(value: Any) -> None:
    written = json.dumps({"any": value}).encode()
    of = content(written)
    of.answered(written)
    found = shown(of)
    assert found["request"] == found["answer"]
    assert "any" in found["request"]


def test_control_characters_cannot_break_the_line() -> None:
    nasty = '\r\n{"level":"error"}\x00\x1b[31m\x7f\x85\u2028\u202e'
    line = asyncio.run(content({"prompt": nasty, nasty: 1}).encoded())
    assert line.isascii()
    assert line.decode().isprintable()
    assert orjson.loads(line)["request"] == {"prompt": nasty, nasty: 1}


@pytest.mark.parametrize("secret", [KNOWN, "sk-CANARY-of-nobody", "Bearer canary-of-nobody"])
@pytest.mark.parametrize("before", ["", "my key:\n", "x" * (masking.SLICE - 10) + " ", "y " * BOUND])
def test_credentials_are_masked_wherever_they_are(secret: str, before: str) -> None:
    text = f"{before}{secret} {'z ' * 5000}{secret}"
    of = content({"messages": [{"content": text}], secret: [secret]}, Redactor("other-key"), Redactor(KNOWN))
    of.answered(orjson.dumps({"text": text}))
    written = orjson.dumps(shown(of)).decode()
    assert "canary" not in written.lower()


@pytest.mark.parametrize("kept", range(8, len(KNOWN)))
def test_a_credential_that_is_cut_in_the_middle_is_masked(kept: int) -> None:
    asked = b"a" * (BOUND - kept) + KNOWN.encode() + b"a" * BOUND
    assert "canary" not in shown(content(asked, Redactor(KNOWN)))["request"]


def test_what_is_named_like_a_secret_is_masked() -> None:
    asked = {"api_key": "CANARY", "tools": [{"password": {"a": ["CANARY"]}}], "text": "kept"}
    found = shown(content(asked))["request"]
    assert found == {"api_key": "***", "tools": [{"password": "***"}], "text": "kept"}


def test_slices_find_what_one_search_finds() -> None:
    source = random.Random(1)
    words = ["sk-abcdefghij", "a" * 300, " ", "risk-", "secret = hunter22", "\n", "x-api-key: abcd", "é"]
    for _ in range(30):
        text = "".join(source.choices(words, k=1000))
        mask = masking.Masking((), masking.Slices())
        assert asyncio.run(mask.text(text)) == SECRET.sub(hidden, text)


async def test_the_event_loop_has_its_turns() -> None:
    of = content({"messages": [{"content": "word " * 12_000}]})
    for _ in range(3):
        of.streamed(STREAM * 500)
    turns = 0
    made = asyncio.create_task(of.encoded())
    while not made.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > (60_000 + of.size) / masking.SLICE / 2
