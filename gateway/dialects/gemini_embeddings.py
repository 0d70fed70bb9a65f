"""OpenAI embeddings as Gemini's ``batchEmbedContents``, there and back."""

from __future__ import annotations

import binascii
import struct
from typing import Any

import orjson

from gateway.api import Call, Chunk, Unsupported
from gateway.dialects.chat_errors import invalid
from gateway.dialects.gemini_errors import reported
from gateway.dialects.gemini_model import resource
from gateway.dialects.gemini_usage import read_usage
from gateway.dialects.reading import WholeReading

Json = dict[str, Any]

MOST_INPUTS = 100
_TRANSLATED = frozenset({"model", "input", "dimensions", "encoding_format"})


def embed(call: Call) -> tuple[Json, tuple[str, ...]]:
    """The body of the request and the names of the parameters that were dropped.

    Raises `Unsupported` for token arrays and for more than `MOST_INPUTS` inputs.
    """
    given = call.body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Unsupported("input", "only text, no token ids")
    if len(texts) > MOST_INPUTS:
        raise Unsupported("input", f"more than {MOST_INPUTS}")
    common: Json = {"model": resource(call.model)}
    if (dimensions := call.body.get("dimensions")) is not None:
        common["outputDimensionality"] = dimensions
    requests = [{**common, "content": {"parts": [{"text": text}]}} for text in texts]
    dropped = (name for name, value in call.body.items() if name not in _TRANSLATED and value is not None)
    return {"requests": requests}, tuple(dropped)


class EmbeddingsReader(WholeReading):
    """Reads the body of ``batchEmbedContents`` as OpenAI's list of embeddings."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._model = call.model
        self._expected = 1 if isinstance(call.body.get("input"), str) else len(call.body["input"])
        self._base64 = call.body.get("encoding_format") == "base64"

    def _read(self, raw: bytes) -> Chunk | None:
        """The list, whose usage is zero where Gemini named none; or nothing and a fault."""
        try:
            answer = orjson.loads(raw)
            if (error := answer.get("error")) is not None:
                self.fault = reported(error)
                return None
            vectors = [self._vector(embedding["values"]) for embedding in answer["embeddings"]]
        except (AttributeError, LookupError, OverflowError, TypeError, ValueError, struct.error):
            self.fault = invalid("no list of embeddings")
            return None
        if len(vectors) != self._expected:
            self.fault = invalid("not one embedding for each input")
            return None
        self.usage = read_usage(answer.get("usageMetadata"))
        self.complete = True
        tokens = 0 if self.usage is None else self.usage.prompt
        value = {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": vector}
                for index, vector in enumerate(vectors)
            ],
            "model": self._model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
        return Chunk(value=value, content=True, usage=True)

    def _vector(self, values: Any) -> list[float] | str:
        """The values, checked; for base64 as little-endian 32-bit floats."""
        if not isinstance(values, list) or not values:
            raise TypeError
        packed = struct.pack(f"<{len(values)}f", *values)
        return binascii.b2a_base64(packed, newline=False).decode() if self._base64 else values
