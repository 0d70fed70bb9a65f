"""What an echo makes of images, audio, moderations and rankings is what clients of these expect."""

from __future__ import annotations

import io
import wave
from base64 import b64decode
from typing import Any

import orjson
import pytest

from gateway.api import Call, Chunk
from gateway.api.testing.calls import calls
from gateway.dialects.passed import PASSED
from gateway_providers.echo import Echo


async def answered(call: Call) -> tuple[str, list[Chunk]]:
    """Content type and chunks of a complete answer."""
    echo = Echo()
    served = await echo.serve(call, "any")
    assert served.status == 200
    reader = echo.reader(call)
    chunks = [chunk async for data in served.body for chunk in reader.feed(data)] + reader.finish()
    assert reader.complete and reader.fault is None
    assert any(chunk.content for chunk in chunks)
    return served.headers["content-type"], chunks


async def whole(operation: str, **body: Any) -> Any:
    _, (chunk,) = await answered(Call(operation, "m", body))
    return orjson.loads(chunk.raw)


@pytest.mark.parametrize("call", [call for name in sorted(PASSED) for call in calls(name)])
async def test_all_requests_are_answered_and_always_the_same(call: Call) -> None:
    assert await answered(call) == await answered(call)


async def test_a_ranking() -> None:
    answer = await whole("rerank", query="red fish", documents=["fish", {"text": "a red fish"}, "x"], top_n=2)
    assert [item["index"] for item in answer["results"]] == [1, 0]
    assert [item["relevance_score"] for item in answer["results"]] == [1.0, 0.5]
    assert answer["usage"] == {"total_tokens": 7}


async def test_moderations() -> None:
    assert len((await whole("moderations", input="a b"))["results"]) == 1
    assert [found["flagged"] for found in (await whole("moderations", input=["a", "b"]))["results"]] == [
        False
    ] * 2


async def test_images() -> None:
    answer = await whole("images", prompt="a red fish", n=2)
    assert [b64decode(image["b64_json"])[:4] for image in answer["data"]] == [b"\x89PNG"] * 2
    assert answer["usage"] == {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}


@pytest.mark.parametrize(("text", "seconds"), [("Hello you", 0.2), ("a " * 10_000, 60)])
async def test_speech(text: str, seconds: float) -> None:
    kind, chunks = await answered(Call("speech", "m", {"input": text}))
    assert kind == "audio/wav"
    with wave.open(io.BytesIO(b"".join(chunk.raw for chunk in chunks))) as sound:
        assert sound.getnframes() / sound.getframerate() == seconds


@pytest.mark.parametrize("operation", ["images", "speech", "transcriptions"])
async def test_streams_end_with_usage(operation: str) -> None:
    body = {"prompt": "a", "input": "a", "n": 2}
    kind, chunks = await answered(Call(operation, "m", body, stream=True))
    assert kind == "text/event-stream" and len(chunks) == 2
    assert [chunk.usage for chunk in chunks] == [False, True]


@pytest.mark.parametrize(
    ("form", "kind"), [("srt", "text/plain; charset=utf-8"), ("json", "application/json")]
)
async def test_transcriptions(form: str, kind: str) -> None:
    call = calls("transcriptions")[0]
    call.body = {"response_format": form}
    assert call.upload is not None
    size = len(call.upload.addressed(call.model))
    found, (chunk,) = await answered(call)
    assert found == kind and f"{size} bytes".encode() in chunk.raw
