"""Reading whole answers in OpenAI's own dialect: chats, completions and embeddings."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.api import Call, Chunk
from gateway.dialects import lenient
from gateway.dialects.chat import output
from gateway.dialects.chat_errors import in_band, invalid
from gateway.dialects.chat_usage import has_cost, parse_usage
from gateway.dialects.embeddings import match_encoding
from gateway.dialects.reading import WholeReading


class BodyReader(WholeReading):
    """Reads the whole body of a chat or a completion: a `gateway.api.Reader`. It goes on byte for byte."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._call = call

    def _read(self, raw: bytes) -> Chunk | None:
        try:
            value = lenient.loads(raw)
            if error := value.get("error"):
                self.fault = in_band(error)
                return None
            raw = self._check(value, raw)
        except (AttributeError, LookupError, TypeError, ValueError):
            self.fault = invalid(f"its body is no {self._call.operation} object")
            return None
        self.usage = parse_usage(value.get("usage"), writes=self._call.operation != "embeddings")
        self.complete = True
        return Chunk(raw, content=True, usage=self.usage is not None or has_cost(value.get("usage")))

    def _check(self, value: dict[str, Any], raw: bytes) -> bytes:
        """The bytes to pass on. Raises one of the exceptions that `finish` expects for another shape."""
        choices = value["choices"]
        if not choices:
            raise ValueError("no choices")
        for choice in choices:
            self.produced += output(choice.get("message") or choice)[1]
        return raw


class EmbeddingsReader(BodyReader):
    """Reads embeddings. Some upstreams know only floats: clients that asked for base64 get it anyway."""

    def _check(self, value: dict[str, Any], raw: bytes) -> bytes:
        encoding = self._call.body.get("encoding_format") or "float"
        return orjson.dumps(value) if match_encoding(value, encoding) else raw
