"""A key is found in every form it may take, and nothing else is."""

from __future__ import annotations

import base64
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import Kind, Outcome
from gateway.redact import REMOVED, Redactor

SECRET = 'sk-CANARY-0123+/"ä56789'


def rejected(text: str, code: str | None = None) -> Outcome:
    return Redactor(SECRET).outcome(Outcome(Kind.CALLER, 400, text, code, param=text))


@pytest.mark.parametrize(
    "form",
    [SECRET, orjson.dumps(SECRET).decode()[1:-1], quote(SECRET), quote(SECRET, safe="")],
    ids=["plain", "json", "url", "whole url"],
)
def test_every_form_is_taken_out(form: str) -> None:
    assert rejected(f"bad key {form}!").message == f"bad key {REMOVED}!"
    assert rejected(f"bad key {form}!").param == f"bad key {REMOVED}!"


@given(st.binary(max_size=12), st.binary(max_size=12))
@settings(max_examples=100, deadline=None)
def test_in_base64_it_is_found_wherever_it_stands(before: bytes, after: bytes) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(before + SECRET.encode() + after).decode()
        assert Redactor(SECRET).in_text(text)


def test_a_code_that_is_the_key_is_none() -> None:
    assert rejected("x", SECRET).code is None
    assert rejected("x", "context_length_exceeded").code == "context_length_exceeded"


@pytest.mark.parametrize("length", range(8, len(SECRET)))
def test_what_is_left_of_a_key_that_was_cut_off_goes_too(length: int) -> None:
    assert rejected(f"bad key {SECRET[:length]}…").message == f"bad key {REMOVED}…"


def test_other_words_stay() -> None:
    text = "The model does not take sk-CANARY as a stop sequence…"
    assert rejected(text).message == text


@pytest.mark.parametrize("word", ["", "none", "ollama", "EMPTY"])
def test_a_word_of_everyday_is_no_secret(word: str) -> None:
    outcome = Outcome(Kind.CALLER, 400, f"there is {word} here")
    assert Redactor(word).outcome(outcome) == outcome
    assert not Redactor(word).in_answer(b"EMPTY none ollama")


def test_answers_are_searched_for_long_keys_only() -> None:
    assert Redactor(SECRET).in_answer(b"... " + orjson.dumps(SECRET))
    assert not Redactor("sk-no-key-required").in_answer(b"use sk-no-key-required")


@pytest.mark.parametrize(("sign", "escape"), [("/", r"\/"), ("+", r"\u002B")], ids=["PHP", "dotnet"])
def test_a_key_is_found_however_json_writes_its_signs(sign: str, escape: str) -> None:
    key = "AbCdEfGh/0123456789+klmnop=="
    told = f'{{"x":"{key.replace(sign, escape)}"}}'.encode()
    assert orjson.loads(told) == {"x": key}
    knowing = Redactor(key)
    assert knowing.in_answer(told)
    assert not knowing.in_answer(told.replace(b"0123", b"3210"))
    assert knowing.in_answer(knowing.tail(told[:-4]) + told[-4:])
    assert knowing.without(told.decode()) == '{"x":"[removed]"}'


def test_it_does_not_show_what_it_looks_for() -> None:
    assert "CANARY" not in repr(Redactor(SECRET))
