"""Forms on their way in: cut anywhere, in any order, and broken in every way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import ApiError
from gateway.request import upload
from gateway.request.form import Form
from gateway.request.upload import MAX_FIELD, MAX_PARTS, field_name, read_form
from tests.fakes.multipart import parts_of

LIMIT = 1024 * 1024
HEADERS = {"Content-Type": "multipart/form-data; boundary=bound"}
Field = tuple[str, bytes]
GOOD: tuple[Field, ...] = (
    ("model", b"whisper-1"),
    ("file", b"RIFF\r\n--boun-not\r\n--"),
    ("prompt", b"a\0b"),
)

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # aiohttp's, of odd headers


def part(name: str, content: bytes, headers: str = "") -> bytes:
    more = '; filename="a b.wav"\r\nContent-Type: audio/wav' if name == "file" else ""
    head = f'--bound\r\nContent-Disposition: form-data; name="{name}"{more}{headers}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def encoded(fields: Sequence[Field]) -> bytes:
    return b"".join(part(*field) for field in fields) + b"--bound--\r\n"


class Open(BaseProtocol):
    """A connection that sends as much as it likes."""

    def pause_reading(self) -> None: ...

    def resume_reading(self, resume_parser: bool = True) -> None: ...


def reader() -> StreamReader:
    """A body that is to come on an open connection."""
    loop = asyncio.get_running_loop()
    protocol = Open(loop)
    protocol.connection_made(asyncio.Transport())
    return StreamReader(protocol, 2**16, loop=loop)


async def fed(
    pieces: Sequence[bytes], limit: int = LIMIT, headers: dict[str, str] = HEADERS
) -> tuple[Form, dict[str, str]]:
    """What is read of a body that arrives in these pieces."""
    content = reader()

    async def feed() -> None:
        for piece in pieces:
            content.feed_data(piece)
            await asyncio.sleep(0)
        content.feed_eof()

    feeding = asyncio.create_task(feed())
    try:
        return await read_form(headers, content, limit)
    finally:
        await feeding


async def refused(pieces: Sequence[bytes], limit: int = LIMIT, headers: dict[str, str] = HEADERS) -> ApiError:
    with pytest.raises(ApiError) as caught:
        form, _ = await fed(pieces, limit, headers)
        form.close()
    assert 400 <= caught.value.status < 500
    return caught.value


def sent(form: Form, model: str = "m") -> list[Field]:
    body = form.addressed(model)
    return [(part.name, part.content) for part in parts_of(body.content_type, b"".join(body.pieces()))]


contents = st.binary(max_size=300).filter(lambda content: b"\r\n--bound" not in b"\r\n" + content)


@settings(max_examples=150)
@given(
    st.permutations(["model", "file", "language", "response_format", "include[]"]),
    contents,
    st.lists(st.integers(1, 400), max_size=6),
)
def test_any_order_of_fields_cut_anywhere(names: list[str], content: bytes, cuts: list[int]) -> None:
    values = {"file": content, "model": b"whisper-1", "response_format": b"json"}
    fields = [(name, values.get(name, b"x")) for name in names]
    body = encoded(fields)
    places = sorted({0, *(cut % len(body) for cut in cuts), len(body)})
    pieces = [body[start:end] for start, end in pairwise(places)]

    async def check() -> None:
        form, found = await fed(pieces)
        try:
            assert found == {"model": "whisper-1", "response_format": "json"}
            assert sent(form) == [(name, b"m" if name == "model" else value) for name, value in fields]
        finally:
            form.close()

    asyncio.run(check())


async def test_headers_of_parts_stay_and_the_models_become_ours() -> None:
    headers = "\r\nContent-Type: text/plain\r\nX-Odd: gr\u00fcn"
    body = part("model", b"a", headers) + part("prompt", b"p", headers) + part("file", b"f") + b"--bound--"
    form, _ = await fed([body])
    try:
        made = form.addressed("m")
        model, prompt, file = parts_of(made.content_type, b"".join(made.pieces()))
    finally:
        form.close()
    assert model.head == b'Content-Disposition: form-data; name="model"'
    assert prompt.head == f'Content-Disposition: form-data; name="prompt"{headers}'.encode()
    assert file.head.endswith(b'name="file"; filename="a b.wav"\r\nContent-Type: audio/wav')


async def test_a_form_that_is_cut_anywhere_is_refused() -> None:
    body = encoded(GOOD).removesuffix(b"--\r\n")
    for end in range(len(body)):
        assert (await refused([body[:end]])).code == "invalid_request", body[:end]


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ((("file", b"x"),), "missing_required_parameter", "model"),
        ((("model", b"m"),), "missing_required_parameter", "file"),
        ((), "missing_required_parameter", "file"),
        ((*GOOD, ("model", b"other")), "invalid_value", "model"),
        ((*GOOD, ("file", b"other")), "invalid_value", "file"),
        ((("model", b"m" * (MAX_FIELD + 1)), ("file", b"x")), "invalid_value", "model"),
        ((("model", b"\xff"), ("file", b"x")), "invalid_value", "model"),
        ((*GOOD, *[("p", b"")] * MAX_PARTS), "invalid_request", None),
    ],
)
async def test_what_is_wrong_with_fields(fields: Sequence[Field], code: str, param: str | None) -> None:
    error = await refused([encoded(fields)])
    assert (error.code, error.param) == (code, param)


@pytest.mark.parametrize("size", [LIMIT, 3 * LIMIT])
async def test_too_large(size: int) -> None:
    error = await refused([encoded((*GOOD[:1], ("file", bytes(size))))])
    assert (error.code, error.status) == ("request_too_large", 413)
    assert "1 MiB" in error.message


async def test_an_endless_epilogue_counts() -> None:
    error = await refused([encoded(GOOD), *[b"\r\n" * (LIMIT // 8)] * 5])
    assert error.code == "request_too_large"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (encoded(GOOD), {"Content-Type": "multipart/form-data"}),
        (encoded(GOOD), {"Content-Type": f"multipart/form-data; boundary={'b' * 71}"}),
        (encoded(GOOD), {"Content-Type": "multipart/form-data; boundary=other"}),
        (b"", HEADERS),
        (b"--bound\r\n" + b"x" * 10_000, HEADERS),
        (b"--bound\r\n" + b"X: y\r\n" * 200 + b"\r\n", HEADERS),
        (b"--bound\r\nno header\r\n\r\nx\r\n--bound--\r\n", HEADERS),
        (part("file", b"x", "\r\nContent-Disposition: form-data; name=model") + b"--bound--", HEADERS),
        (
            b'--bound\r\nContent-Disposition: form-data; name="model"\r\n'
            b"Content-Type: multipart/mixed; boundary=inner\r\n\r\n--inner--\r\n--bound--\r\n",
            HEADERS,
        ),
    ],
)
async def test_what_is_no_form(body: bytes, headers: dict[str, str]) -> None:
    assert (await refused([body], headers=headers)).code == "invalid_request"


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('form-data; name="model"', "model"),
        ("form-data; name=model", "model"),
        ('FORM-DATA;name="a b"; filename="x\\".wav"; filename*=utf-8\'\'x', "a b"),
        ('form-data; filename="; name=model"; name="file"', "file"),
    ],
)
def test_names(disposition: str, name: str) -> None:
    assert field_name(disposition) == name


@pytest.mark.parametrize(
    "disposition",
    [
        "",
        "form-data",
        'form-data; filename="a"',
        'attachment; name="model"',
        'form-data; name="a"; name="model"',
        "form-data; name=\"a\"; name*=utf-8''model",
        'form-data; name="mo\\del"',
        'form-data; name="model',
        'form-data; name="a" "b"',
    ],
)
def test_names_that_two_readers_might_read_differently(disposition: str) -> None:
    with pytest.raises(ApiError):
        field_name(disposition)


async def test_an_upload_that_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "PATIENCE", 0.01)
    content = reader()
    content.feed_data(encoded(GOOD)[:-20])
    with pytest.raises(ApiError) as caught:
        await read_form(HEADERS, content, LIMIT)
    assert caught.value.code == "request_timeout"


async def test_patience_begins_anew_with_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    moments: list[float] = []
    monkeypatch.setattr(asyncio.Timeout, "reschedule", lambda self, when: moments.append(when))
    body = encoded((*GOOD[:1], ("file", bytes(4 * upload.PROGRESS))))
    form, _ = await fed([body[at : at + 2**14] for at in range(0, len(body), 2**14)], 2 * LIMIT)
    form.close()
    assert 4 <= len(moments) <= 5 and moments == sorted(moments)  # the first is the timeout's own
