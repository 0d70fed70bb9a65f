"""`FakeMedia`: images, audio and moderations like OpenAI's, and rankings in Jina's shape."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import orjson

from tests.fakes.multipart import Part, parts_of
from tests.fakes.openai import FakeOpenAI
from tests.fakes.openai_errors import error, known, missing, one_of
from tests.fakes.reply import count
from tests.fakes.upstream import SSE, Answer, Json, Recorded

SOUND = bytes(range(256)) * 600
"""What every text sounds like."""
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(64)).decode()
_FORMATS = {
    "whisper-1": ("json", "text", "srt", "verbose_json", "vtt"),
    "gpt-4o-transcribe": ("json",),
}
_FIELDS = ("file", "model", "language", "prompt", "response_format", "stream", "temperature", "include[]")


class FakeMedia(FakeOpenAI):
    """Beside chats it serves the endpoints named above."""

    models = (
        *(*FakeOpenAI.models, *_FORMATS, "gpt-4o-mini-tts", "gpt-image-1", "dall-e-3"),
        *("omni-moderation-latest", "reranker"),
    )

    def answer(self, request: Recorded) -> Answer:
        path = request.path.removeprefix("/v1/")
        if path in ("audio/transcriptions", "audio/translations"):
            return self._hear(parts_of(request.headers["Content-Type"], request.body), path)
        serve = {
            "moderations": self._moderate,
            "images/generations": self._paint,
            "audio/speech": self._speak,
            "rerank": self._rank,
        }.get(path)
        if serve is None:
            return super().answer(request)
        if request.headers["Content-Type"] != "application/json":
            raise error("not JSON")
        body = request.json()
        self._serves(body.get("model"))
        return serve(body)

    def _hear(self, parts: list[Part], path: str) -> Answer:
        fields = {part.name: part.content.decode() for part in parts if part.name != "file"}
        known(fields, _FIELDS, "")
        model = fields.get("model")
        self._serves(model)
        files = [part for part in parts if part.name == "file"]
        if len(files) != 1 or len(fields) != len(parts) - 1:
            raise error("one file, and each field once")
        if not files[0].filename:
            raise missing("file")
        form = fields.get("response_format", "json")
        one_of("response_format", form, _FORMATS.get(model or "", ()))
        heard = describe(files[0].content)
        if form in ("text", "srt", "vtt"):
            kind = "text/plain; charset=utf-8"
            return Answer(events=(f"{heard}\n".encode(),), content_type=kind)
        text = f"{path.rpartition('/')[2]}: {heard}"
        if model == "whisper-1":  # does not stream, and says so by not streaming
            return Answer({"text": text, "usage": {"type": "duration", "seconds": 3}})
        usage = {"type": "tokens", "input_tokens": 20, "output_tokens": 5, "total_tokens": 25}
        usage |= {"input_token_details": {"text_tokens": 6, "audio_tokens": 14}}
        if fields.get("stream") == "true":
            deltas = [{"type": "transcript.text.delta", "delta": word} for word in text.split(" ")]
            done = {"type": "transcript.text.done", "text": text, "usage": usage}
            return Answer(events=tuple(_event(value) for value in [*deltas, done]), content_type=SSE)
        return Answer({"text": text, "usage": usage})

    def _moderate(self, body: Json) -> Answer:
        known(body, ("model", "input"), "")
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        results = [
            {
                "flagged": "violence" in str(text),
                "categories": {"violence": "violence" in str(text)},
                "category_scores": {"violence": 0.5},
            }
            for text in texts
        ]
        return Answer({"id": self.number("modr-"), "model": body["model"], "results": results})

    def _paint(self, body: Json) -> Answer:
        known(body, ("model", "prompt", "n", "size", "quality", "stream", "partial_images"), "")
        if body["model"] == "dall-e-3":
            return Answer({"created": 1, "data": [{"url": "https://images.invalid/1"}] * body.get("n", 1)})
        taken = count(body["prompt"])
        usage = {"input_tokens": taken, "output_tokens": 100, "total_tokens": taken + 100}
        if body.get("stream"):
            partial = {"type": "image_generation.partial_image", "b64_json": PIXEL, "partial_image_index": 0}
            whole = {"type": "image_generation.completed", "b64_json": PIXEL, "usage": usage}
            events = tuple(_named(value) for value in (partial, whole))
            return Answer(events=events, content_type=SSE)
        return Answer({"created": 1, "data": [{"b64_json": PIXEL}] * body.get("n", 1), "usage": usage})

    def _speak(self, body: Json) -> Answer:
        known(body, ("model", "input", "voice", "response_format", "speed", "stream_format"), "")
        if "voice" not in body:
            raise missing("voice")
        if body.get("stream_format") == "sse":
            half = len(SOUND) // 2
            deltas = [
                {"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()}
                for piece in (SOUND[:half], SOUND[half:])
            ]
            usage = {"input_tokens": 7, "output_tokens": 50, "total_tokens": 57}
            done = {"type": "speech.audio.done", "usage": usage}
            return Answer(events=tuple(_event(value) for value in [*deltas, done]), content_type=SSE)
        kind = {"wav": "audio/wav", "mp3": "audio/mpeg"}[body.get("response_format", "mp3")]
        step = 32 * 1024
        pieces = tuple(SOUND[at : at + step] for at in range(0, len(SOUND), step))
        return Answer(events=pieces, content_type=kind)

    def _rank(self, body: Json) -> Answer:
        known(body, ("model", "query", "documents", "top_n", "return_documents"), "")
        words = set(body["query"].split())
        scored = [
            {"index": index, "relevance_score": len(words & set(document.split())) / len(words)}
            for index, document in enumerate(body["documents"])
        ]
        scored.sort(key=lambda item: -item["relevance_score"])
        return Answer(
            {
                "model": body["model"],
                "results": scored[: body.get("top_n", len(scored))],
                "usage": {"total_tokens": 12},
            }
        )


def describe(content: bytes) -> str:
    """What the fake hears in a file: proof that it got it."""
    return f"{len(content)} bytes {hashlib.sha256(content).hexdigest()[:12]}"


def _event(value: Any) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(value)


def _named(value: Json) -> bytes:
    return b"event: %b\n%b" % (value["type"].encode(), _event(value))
