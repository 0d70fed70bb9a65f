"""A form that is sent on: all parts as they came but the model, as often as wanted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.request.form import IN_MEMORY, PIECE, Form
from tests.fakes.multipart import parts_of


@pytest.fixture
def form() -> Iterator[Form]:
    form = Form()
    yield form
    form.close()


def add(form: Form, name: str, content: bytes, more: str = "") -> None:
    form.add(name, f'Content-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode())
    form.write(content)


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, IN_MEMORY + 3 * PIECE + 5])
def test_it_is_sent_as_often_as_wanted_with_its_true_length(form: Form, size: int) -> None:
    content = (b"0123456789abcdef\r\n" * (size // 18 + 1))[:size]
    add(form, "model", b"an-alias")
    add(form, "file", content, '; filename="a.wav"')
    add(form, "prompt", b"\r\n--")
    for model in ("whisper-1", "a-much-longer-name-than-the-alias"):
        body = form.addressed(model)
        sent = b"".join(body.pieces())
        assert len(body) == len(sent) and b"".join(body.pieces()) == sent
        assert max(map(len, body.pieces())) <= PIECE
        parts = [(part.name, part.filename, part.content) for part in parts_of(body.content_type, sent)]
        assert parts == [
            ("model", None, model.encode()),
            ("file", "a.wav", content),
            ("prompt", None, b"\r\n--"),
        ]


def test_two_sent_at_once_do_not_mix(form: Form) -> None:
    add(form, "model", b"m")
    add(form, "file", bytes(range(256)) * 8192)
    one, other = form.addressed("one").pieces(), form.addressed("two").pieces()
    mixed = [(a, b) for a, b in zip(one, other, strict=True)]
    assert b"".join(a for a, _ in mixed) == b"".join(form.addressed("one").pieces())
    assert b"".join(b for _, b in mixed) == b"".join(form.addressed("two").pieces())


def test_what_was_lost_is_an_error_and_no_short_body(form: Form) -> None:
    add(form, "file", b"x" * (2 * IN_MEMORY))
    form._spool.seek(0)
    form._spool.truncate(IN_MEMORY)
    with pytest.raises(OSError, match="cut short"):
        list(form.addressed("m").pieces())
