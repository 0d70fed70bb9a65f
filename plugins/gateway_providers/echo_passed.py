"""What an echo makes of images, audio, moderations and rankings: small, and always the same."""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

import orjson

from gateway.api import Call
from gateway.dialects.chat_usage import encode_chunk
from gateway.dialects.passed import TEXT_FORMATS
from gateway_providers.echo_answers import pieces, text_of

_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
"""A PNG of one black pixel."""
_RATE = 8000
_SAMPLES_PER_WORD = 800
_MOST_WORDS = 600
"""That are spoken: a minute of them."""
_EVENTS = "text/event-stream"
_JSON = "application/json"


def passed(call: Call) -> tuple[str, bytes]:
    """Content type and body of the answer to one of `gateway.dialects.passed.PASSED`."""
    match call.operation:
        case "moderations":
            return _JSON, orjson.dumps(_moderation(call))
        case "rerank":
            return _JSON, orjson.dumps(_ranking(call))
        case "images":
            return _image(call)
        case "speech":
            return _speech(call)
        case _:
            return _transcription(call)


def _moderation(call: Call) -> dict[str, Any]:
    given = call.body["input"]
    count = 1 if isinstance(given, str) else len(given)
    result: dict[str, Any] = {"flagged": False, "categories": {}, "category_scores": {}}
    return {"id": "modr-echo", "model": call.model, "results": [result] * count}


def _ranking(call: Call) -> dict[str, Any]:
    """Documents by how many of the query's words are in them."""
    query, documents = _words(call.body["query"]), [_words(item) for item in call.body["documents"]]
    asked = set(query)
    scored: list[dict[str, Any]] = [
        {"index": index, "relevance_score": len(asked.intersection(words)) / max(len(asked), 1)}
        for index, words in enumerate(documents)
    ]
    scored.sort(key=lambda item: -float(item["relevance_score"]))
    tokens = len(query) + sum(map(len, documents))
    top = call.body.get("top_n") or len(scored)
    return {"model": call.model, "results": scored[:top], "usage": {"total_tokens": tokens}}


def _words(value: object) -> list[str]:
    return text_of([value] if isinstance(value, dict) else value).split()


def _image(call: Call) -> tuple[str, bytes]:
    count = call.body.get("n") or 1
    usage = _usage(len(pieces(call.body["prompt"])), count)
    if not call.stream:
        images = [{"b64_json": _PIXEL}] * count
        return _JSON, orjson.dumps({"created": 0, "data": images, "usage": usage})
    image = {"type": "image_generation.completed", "b64_json": _PIXEL}
    return _events([*[image] * (count - 1), {**image, "usage": usage}])


def _speech(call: Call) -> tuple[str, bytes]:
    """A tenth of a second of silence for each word, as WAV."""
    words = min(len(pieces(call.body["input"])), _MOST_WORDS)
    size = words * _SAMPLES_PER_WORD
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, _RATE, _RATE, 1, 8)
    wave = b"".join(
        (struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE"), form, struct.pack("<4sI", b"data", size))
    )
    wave += b"\x80" * size
    if not call.stream:
        return "audio/wav", wave
    delta = {"type": "speech.audio.delta", "audio": b64encode(wave).decode()}
    return _events([delta, {"type": "speech.audio.done", "usage": _usage(words, words)}])


def _transcription(call: Call) -> tuple[str, bytes]:
    size = len(call.upload.addressed(call.model)) if call.upload is not None else 0
    text = f"An upload of {size} bytes."
    usage = {"type": "tokens", **_usage(0, len(pieces(text)))}
    if call.stream:
        delta = {"type": "transcript.text.delta", "delta": text}
        return _events([delta, {"type": "transcript.text.done", "text": text, "usage": usage}])
    if call.body.get("response_format") in TEXT_FORMATS:
        return "text/plain; charset=utf-8", text.encode()
    return _JSON, orjson.dumps({"text": text, "usage": usage})


def _usage(taken: int, made: int) -> dict[str, Any]:
    return {"input_tokens": taken, "output_tokens": made, "total_tokens": taken + made}


def _events(values: Iterable[dict[str, Any]]) -> tuple[str, bytes]:
    return _EVENTS, b"".join(map(encode_chunk, values))
