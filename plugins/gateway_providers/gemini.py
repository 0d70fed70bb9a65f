"""The ``gemini`` provider: Google's Gemini API (``generateContent``) behind OpenAI's chat and embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import orjson

from gateway.api import Call, Outcome, Reader, Unsupported, Upstream
from gateway.dialects.gemini_embeddings import EmbeddingsReader, embed
from gateway.dialects.gemini_errors import diagnose
from gateway.dialects.gemini_model import path
from gateway.dialects.gemini_reader import StreamReader, WholeReader
from gateway.dialects.gemini_request import generate


@dataclass(frozen=True)
class Gemini:
    """Google's Gemini API with an API key. The key travels in a header, never in the address."""

    base_url: str = "https://generativelanguage.googleapis.com"
    """With or without a version at its end; one that is there is respected."""
    api_version: str = "v1beta"

    operations: ClassVar[Mapping[str, str]] = {"chat": "gemini", "embeddings": "gemini"}

    @cached_property
    def _root(self) -> str:
        base = self.base_url.rstrip("/")
        last = base.rpartition("/")[2]
        return base if last[:1] == "v" and last[1:2].isdigit() else f"{base}/{self.api_version}"

    def prepare(self, call: Call, secret: str) -> Upstream:
        """Translate the call. Raises `Unsupported` for what Gemini has no equivalent of."""
        if call.operation == "embeddings":
            method = "batchEmbedContents"
            body, dropped = embed(call)
        else:
            method = "streamGenerateContent?alt=sse" if call.stream else "generateContent"
            body, dropped = generate(call)
        try:
            encoded = orjson.dumps(body)
        except orjson.JSONEncodeError as error:
            # The request was JSON: only arguments unpacked from their string can be nested too deeply.
            raise Unsupported("messages", "tool call arguments that cannot be written as JSON") from error
        headers = [("content-type", "application/json"), ("x-goog-api-key", secret)]
        return Upstream("POST", f"{self._root}/{path(call.model)}:{method}", headers, encoded, dropped)

    def reader(self, call: Call) -> Reader:
        """A fresh reader for the answer to ``call``."""
        if call.operation == "embeddings":
            return EmbeddingsReader(call)
        return StreamReader(call) if call.stream else WholeReader(call)

    def diagnose(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Say what an answer that is not 2xx means."""
        return diagnose(status, headers, body)
