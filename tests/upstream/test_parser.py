"""Tests of parsing answers, as transcripts: bytes in, calls out."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Iterable

import pytest

from gateway.upstream.coding import PIECE
from gateway.upstream.failure import FailureKind, UpstreamFailure
from gateway.upstream.parser import MAX_FIELDS, MAX_HEAD, MAX_LINE, Parser
from tests.upstream.peers import CHUNKED, Notes

MIB = 1 << 20


def parse(parts: Iterable[bytes], *, method: str = "POST", max_body: int = MIB) -> tuple[Notes, Parser]:
    notes, parser = Notes(), Parser(max_body)
    parser.begin(notes, method == "HEAD")
    for part in parts:
        parser.feed(part)
    return notes, parser


def failing(*parts: bytes, max_body: int = MIB) -> FailureKind:
    with pytest.raises(UpstreamFailure) as caught:
        parse(parts, max_body=max_body)
    assert caught.value.answered
    return caught.value.kind


def coded(coding: str, body: bytes, more: str = "") -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


ANSWERS = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nX-A: 1\r\nx-a: 2\r\n\r\nhello world",
    "chunked": CHUNKED + b"5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\n",
    "informed": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
    "old": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 11\r\n\r\nhello world",
    "gzip": coded("gzip", gzip.compress(b"hello world", mtime=0)),
    "deflate": coded("Deflate", zlib.compress(b"hello world")),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_split_anywhere(name: str) -> None:
    answer = ANSWERS[name]
    splits = [(answer[:at], answer[at:]) for at in range(1, len(answer))]
    for parts in (*splits, [bytes([byte]) for byte in answer]):
        notes, parser = parse(parts)
        assert (notes.heads, notes.status, notes.body) == (1, 200, b"hello world")
        assert all(notes.data)
        assert parser.complete and parser.reusable
        assert "link" not in notes.headers and "trailer" not in notes.headers


def test_fields() -> None:
    fields = b"Retry-After:  7 \r\nSet-Cookie: a\r\nset-cookie: \xe9\r\nContent-Length: 0\r\n"
    notes, _ = parse([b"HTTP/1.1 429 No\r\n" + fields + b"\r\n"])
    assert notes.status == 429
    assert notes.headers == {"retry-after": "7", "set-cookie": "a, \xe9", "content-length": "0"}


def test_one_after_another() -> None:
    parser = Parser(MIB)
    for answer in (*ANSWERS.values(), ANSWERS["length"]):
        notes = Notes()
        parser.begin(notes, False)
        assert not parser.answered
        assert parser.feed(answer)
        assert notes.body == b"hello world"


@pytest.mark.parametrize(
    ("answer", "method"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", "POST"),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 20\r\nContent-Encoding: br\r\n\r\n", "POST"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n", "HEAD"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "HEAD"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", "HEAD"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Encoding: gzip\r\n\r\n", "POST"),
    ],
)
def test_no_body(answer: bytes, method: str) -> None:
    notes, parser = parse([answer], method=method)
    assert parser.complete
    assert notes.status and not notes.data
    assert parser.reusable == (method != "HEAD")


@pytest.mark.parametrize("extra", [b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad", b"H", b"garbage"])
@pytest.mark.parametrize("apart", [False, True])
def test_nothing_may_follow(extra: bytes, apart: bool) -> None:
    answer = ANSWERS["length"]
    notes, parser = parse([answer, extra] if apart else [answer + extra])
    assert parser.complete and not parser.reusable
    assert (notes.heads, notes.body) == (1, b"hello world")


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.0 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n",
        b"HTTP/1.1 200 OK\r\nconnection: Close\r\n",
    ],
)
def test_not_reusable(head: bytes) -> None:
    _, parser = parse([head + b"Content-Length: 2\r\n\r\nok"])
    assert parser.complete and not parser.reusable


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"<html>",
        b"HTTP/1.1 20 OK\r\n",
        b"HTTP/1.1 099 Odd\r\n\r\n",
        b"HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : space\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        CHUNKED + b"nonsense\r\n",
        CHUNKED + b"2\r\nokX",
        coded("br", b"whatever"),
        coded("zstd", b"whatever"),
        coded("gzip, gzip", b"whatever"),
        coded("gzip", b"not gzip at all"),
    ],
)
def test_invalid(answer: bytes) -> None:
    assert failing(answer) is FailureKind.INVALID


@pytest.mark.parametrize(
    "parts",
    [
        [b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * (MAX_FIELDS + 1) + b"\r\n"],
        [b"HTTP/1.1 200 OK\r\nX: " + b"y" * MAX_LINE + b"\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"y" * 10000 + b"\r\n") * 7 + b"\r\n"],
        [b"HTTP/1.1 200 OK\r\nX: ", *[b"y" * 1000] * 66],
        [b"HTTP/1.1 200 " + b"O" * (MAX_HEAD + 1)],
        [b"HTTP/1.1 100 Continue\r\n\r\n"] * 3000,
        [CHUNKED, b"2;", *[b"x" * 1000] * 66],
        [CHUNKED, b"0\r\nTrailer: ", *[b"x" * 1000] * 66],
        [CHUNKED, b"2\r\nok\r\n", b"0\r\n", *[b"Trailer: x\r\n"] * 6000],
    ],
)
def test_floods(parts: list[bytes]) -> None:
    assert failing(*parts) is FailureKind.INVALID


def test_largest_head() -> None:
    fields = b"".join(b"X-%03d: %b\r\n" % (number, b"y" * 300) for number in range(MAX_FIELDS - 1))
    notes, parser = parse([b"HTTP/1.1 200 OK\r\n" + fields + b"Content-Length: 0\r\n\r\n"])
    assert parser.complete and len(notes.headers) == MAX_FIELDS


def test_a_long_chunked_body_is_no_flood() -> None:
    notes, parser = parse([CHUNKED, *[b"1\r\nx\r\n"] * 30000, b"0\r\n\r\n"])
    assert parser.complete and len(notes.body) == 30000


def test_body_limit() -> None:
    exact = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000
    assert parse([exact], max_body=1000)[1].complete
    assert failing(exact, max_body=999) is FailureKind.TOO_LARGE
    assert failing(CHUNKED, *[b"64\r\n" + b"x" * 100 + b"\r\n"] * 11, max_body=1000) is FailureKind.TOO_LARGE


def test_a_stream_may_be_of_any_length() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\n\r\n"
    notes, _ = parse([head, *[b"data: x\n\n"] * 1000], max_body=100)
    assert len(notes.body) == 9000


@pytest.mark.parametrize("more", ["", "Content-Type: text/event-stream\r\n"])
def test_bomb(more: str) -> None:
    bomb = gzip.compress(bytes(64 * MIB))
    notes, parser = Notes(), Parser(MIB)
    parser.begin(notes, False)
    with pytest.raises(UpstreamFailure) as caught:
        parser.feed(coded("gzip", bomb, more))
    assert caught.value.kind is FailureKind.TOO_LARGE
    assert len(notes.body) <= MIB


def test_decoded_answers_do_not_speak_of_their_coding() -> None:
    notes, _ = parse([ANSWERS["gzip"]])
    assert notes.headers == {}


def test_compressed_body_cut_short() -> None:
    assert failing(coded("gzip", gzip.compress(b"hello world")[:-4])) is FailureKind.TRUNCATED


@pytest.mark.parametrize(
    ("answer", "clean", "kind"),
    [
        (b"", True, FailureKind.RESET),
        (b"HTTP/1.1 200 OK\r\nConte", True, FailureKind.RESET),
        (b"HTTP/1.1 100 Continue\r\n\r\n", True, FailureKind.RESET),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", True, FailureKind.TRUNCATED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", False, FailureKind.RESET),
        (CHUNKED + b"5\r\nhel", True, FailureKind.TRUNCATED),
        (CHUNKED + b"5\r\nhello\r\n", True, FailureKind.TRUNCATED),
        (CHUNKED + b"5\r\nhello\r\n0\r\n", True, FailureKind.TRUNCATED),
        (b"HTTP/1.1 200 OK\r\n\r\nok", False, FailureKind.RESET),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"x", mtime=0)[:-1],
            True,
            FailureKind.TRUNCATED,
        ),
    ],
)
def test_cut_short(answer: bytes, clean: bool, kind: FailureKind) -> None:
    _, parser = parse([answer] if answer else [])
    with pytest.raises(UpstreamFailure) as caught:
        parser.end(clean)
    assert caught.value.kind is kind
    assert caught.value.answered == bool(answer)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\nX: y\r\n\r\n"])
def test_ended_by_the_connection(head: bytes) -> None:
    notes, parser = parse([head, b"hello ", b"world"])
    assert not parser.complete
    parser.end(clean=True)
    assert parser.complete and not parser.reusable
    assert notes.body == b"hello world"


@pytest.mark.parametrize(
    "answer",
    [CHUNKED + b"2\r\nok\r\n2\r\nno\r\n0\r\n\r\n", coded("gzip", gzip.compress(bytes(2 * PIECE)))],
)
def test_muted_in_the_middle(answer: bytes) -> None:
    class Leaving(Notes):
        def on_data(self, data: bytes) -> None:
            super().on_data(data)
            parser.mute()

    notes, parser = Leaving(), Parser(MIB)
    parser.begin(notes, False)
    with contextlib.suppress(UpstreamFailure):
        parser.feed(answer)
    assert len(notes.data) == 1 and not notes.ends


def test_a_receivers_own_error_is_not_mistaken_for_the_upstreams() -> None:
    class Broken(Notes):
        def on_data(self, data: bytes) -> None:
            raise ZeroDivisionError

    parser = Parser(MIB)
    parser.begin(Broken(), False)
    with pytest.raises(ZeroDivisionError):
        parser.feed(ANSWERS["length"])
