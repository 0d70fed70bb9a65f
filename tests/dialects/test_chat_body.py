"""Whole native answers: byte for byte, or a fault."""

from __future__ import annotations

import orjson
import pytest

from gateway.api import Call, Chunk, Kind, Usage
from gateway.dialects.chat_body import BodyReader, EmbeddingsReader
from gateway.dialects.embeddings import pack_base64

CHAT = Call("chat", "m", {})
BODY = b'{ "choices" : [{"message":{"content":"Hi","tool_calls":[{"function":{"arguments":"{}"}}]}}],\n'
USAGE = b'"usage":{"prompt_tokens":9,"completion_tokens":2}}'


def embedded(encoding: str | None, body: bytes) -> tuple[list[Chunk], EmbeddingsReader]:
    reader = EmbeddingsReader(Call("embeddings", "m", {"encoding_format": encoding}))
    reader.feed(body)
    return reader.finish(), reader


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_body_passes_byte_for_byte(size: int) -> None:
    reader, body = BodyReader(CHAT), BODY + USAGE
    assert [chunk for at in range(0, len(body), size) for chunk in reader.feed(body[at : at + size])] == []
    assert reader.finish() == [Chunk(body, content=True, usage=True)]
    assert reader.usage == Usage(input=9, output=2)
    assert (reader.complete, reader.fault, reader.produced) == (True, None, 4)


def test_half_a_character_passes_as_it_came() -> None:
    reader, body = BodyReader(CHAT), (BODY + USAGE).replace(b"Hi", rb"Hi \ud83d")
    reader.feed(body)
    assert reader.finish() == [Chunk(body, content=True, usage=True)]


def test_a_body_without_usage() -> None:
    reader = BodyReader(Call("completions", "m", {}))
    body = b'{"choices":[{"text":"abc"}],"usage":null}'
    reader.feed(body)
    assert reader.finish() == [Chunk(body, content=True)]
    assert (reader.usage, reader.produced) == (None, 3)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        BODY,
        b"<html></html>",
        b"null",
        b"[]",
        b"1",
        b"{}",
        b'{"choices":[]}',
        b'{"choices":null}',
        b'{"choices":{"a":1}}',
        b'{"choices":[1]}',
        b'{"choices":[{"message":"x"}]}',
        b"[" * 5000,
        BODY + USAGE + b"x",
    ],
)
def test_what_is_no_answer(body: bytes) -> None:
    reader = BodyReader(CHAT)
    reader.feed(body)
    assert reader.finish() == []
    assert not reader.complete
    assert reader.fault is not None
    assert reader.fault.kind is Kind.INVALID


def test_an_error_with_status_200() -> None:
    reader = BodyReader(CHAT)
    reader.feed(b'{"error":{"message":"Too long","code":"context_length_exceeded","param":"messages"}}')
    assert reader.finish() == []
    assert reader.fault is not None
    assert reader.fault.kind is Kind.CALLER
    assert (reader.fault.status, reader.fault.message, reader.fault.code, reader.fault.param) == (
        400,
        "Too long",
        "context_length_exceeded",
        "messages",
    )


def test_embeddings_in_the_encoding_asked_for_pass_byte_for_byte() -> None:
    floats = b'{"data":[{"embedding":[0.5,1]}],"usage":{"prompt_tokens":3,"total_tokens":3}}'
    for encoding in ("float", None):
        chunks, reader = embedded(encoding, floats)
        assert chunks == [Chunk(floats, content=True, usage=True)]
        assert reader.usage == Usage(input=3)
    packed = b'{"data":[{"embedding":"AAAAPw=="}]}'
    assert embedded("base64", packed)[0] == [Chunk(packed, content=True)]


def test_embeddings_in_another_encoding_are_converted() -> None:
    chunks, _ = embedded("base64", b'{"data":[{"index":0,"embedding":[0.5,1]}]}')
    assert orjson.loads(chunks[0].raw) == {"data": [{"index": 0, "embedding": pack_base64([0.5, 1])}]}
    chunks, _ = embedded("float", b'{"data":[{"embedding":"AAAAPw=="}]}')
    assert orjson.loads(chunks[0].raw) == {"data": [{"embedding": [0.5]}]}


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"data":{"a":1}}',
        b'{"data":[{}]}',
        b'{"data":[{"embedding":["x"]}]}',
        b'{"data":[{"embedding":null}]}',
        b'{"choices":[]}',
    ],
)
def test_what_is_no_embedding(body: bytes) -> None:
    chunks, reader = embedded("base64", body)
    assert chunks == []
    assert reader.fault is not None
    assert reader.fault.kind is Kind.INVALID
    assert "embeddings" in reader.fault.message


def test_broken_base64() -> None:
    assert embedded("float", b'{"data":[{"embedding":"AAA"}]}')[1].fault is not None
