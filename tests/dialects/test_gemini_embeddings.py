"""Embeddings there and back."""

import base64
import struct
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.api import Call, Kind, Unsupported, Usage
from gateway.dialects.gemini_embeddings import EmbeddingsReader, embed

WIRE = Path(__file__).parent.parent / "wire" / "gemini"


def call(**body: Any) -> Call:
    return Call("embeddings", "gemini-embedding-001", {"model": "x", **body}, dialect="embeddings")


def read(body: bytes, **parameters: Any) -> tuple[EmbeddingsReader, Any]:
    reader = EmbeddingsReader(call(**parameters))
    for position in range(len(body)):
        assert reader.feed(body[position : position + 1]) == []
    chunks = reader.finish()
    return reader, chunks[0].value if chunks else None


def test_every_input_is_a_request_of_the_batch() -> None:
    body, dropped = embed(call(input=["a", "b"], dimensions=3, encoding_format="base64", user="u"))
    model = "models/gemini-embedding-001"
    assert body == {
        "requests": [
            {"model": model, "outputDimensionality": 3, "content": {"parts": [{"text": text}]}}
            for text in "ab"
        ]
    }
    assert dropped == ("user",)
    assert len(embed(call(input="one"))[0]["requests"]) == 1


@pytest.mark.parametrize("given", [[1, 2], [[1, 2]], ["a", 1], None, 5, ["x"] * 101])
def test_other_inputs_are_refused(given: Any) -> None:
    with pytest.raises(Unsupported) as caught:
        embed(call(input=given))
    assert caught.value.param == "input"


def test_the_answer_in_floats() -> None:
    reader, value = read((WIRE / "embeddings.json").read_bytes(), input=["a", "b"])
    assert value == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, -0.25, 0.125]},
            {"object": "embedding", "index": 1, "embedding": [1, 0, -2]},
        ],
        "model": "gemini-embedding-001",
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
    }
    assert reader.complete and reader.usage is None and reader.fault is None


def test_the_answer_in_base64_is_little_endian_floats() -> None:
    _, value = read((WIRE / "embeddings.json").read_bytes(), input=["a", "b"], encoding_format="base64")
    packed = base64.b64decode(value["data"][0]["embedding"])
    assert struct.unpack("<3f", packed) == (0.5, -0.25, 0.125)


def test_usage_where_it_is_named() -> None:
    body = {"embeddings": [{"values": [1.0]}], "usageMetadata": {"promptTokenCount": 7}}
    reader, value = read(orjson.dumps(body), input="a")
    assert reader.usage == Usage(input=7)
    assert value["usage"] == {"prompt_tokens": 7, "total_tokens": 7}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"embeddings":[]}',
        b'{"embeddings":[{}]}',
        b'{"embeddings":[5]}',
        b'{"embeddings":[{"values":[]}]}',
        b'{"embeddings":[{"values":"abc"}]}',
        b'{"embeddings":[{"values":["1"]}]}',
        b'{"embeddings":[{"values":[1e300]}]}',
    ],
)
def test_what_is_no_answer_is_invalid(body: bytes) -> None:
    reader, value = read(body, input="a")
    assert value is None and not reader.complete
    assert reader.fault is not None and reader.fault.kind is Kind.INVALID


def test_an_error_in_the_body_is_a_fault() -> None:
    reader, _ = read(b'{"error":{"code":503}}', input="a")
    assert reader.fault is not None and reader.fault.kind is Kind.OVERLOADED
