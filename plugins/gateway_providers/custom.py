"""Any server that speaks OpenAI's dialect, at any address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from gateway.api import Call
from gateway.dialects.responses.native import native_body
from gateway_providers.openai import OpenAI, addressed, ask_for_usage, natively, without_extensions

Endpoint = Literal[
    "chat",
    "completions",
    "embeddings",
    "moderations",
    "images",
    "speech",
    "transcriptions",
    "translations",
    "rerank",
]


@dataclass(frozen=True, slots=True)
class Custom(OpenAI):
    """A server that speaks OpenAI's dialect. An empty key sends no credentials."""

    served: ClassVar[Mapping[str, str]] = natively("chat", "completions", "embeddings")

    base_url: str = field()
    """With or without a trailing ``/v1``."""
    api_path: str = "/v1"
    """What comes between ``base_url`` and, say, ``/chat/completions``; may be empty."""
    auth_header: str = "authorization"
    """The header that carries the key."""
    auth_scheme: str = "Bearer"
    """What precedes the key there; empty for the bare key."""
    stream_usage: bool = True
    """Whether to ask for usage at the end of streams; false for servers that refuse ``stream_options``."""
    message_extensions: bool = True
    """Whether it takes messages with ``reasoning_content`` and the like; false: they are taken out."""

    responses_api: bool = False
    """Whether the server has ``/v1/responses``; false: such requests are translated to chats."""
    endpoints: tuple[Endpoint, ...] | None = None
    """What the server has beside it, and is asked for; None: chats, legacy completions and embeddings."""

    def _endpoints(self) -> Mapping[str, str]:
        return self.served if self.endpoints is None else natively(*self.endpoints)

    def _url(self, path: str) -> str:
        return f"{self.base_url.rstrip('/').removesuffix('/v1')}{self.api_path.rstrip('/')}{path}"

    def _credentials(self, secret: str) -> list[tuple[str, str]]:
        return [(self.auth_header.lower(), f"{self.auth_scheme} {secret}".lstrip())] if secret else []

    def _without_strange(self, body: dict[str, Any]) -> tuple[str, ...]:
        return ()  # such servers know more than OpenAI does

    def _body(self, call: Call) -> dict[str, Any]:
        if call.operation == "responses":
            return native_body(call, stateful=self.stateful)
        body = addressed(call, "max_tokens")
        if call.stream and self.stream_usage:
            ask_for_usage(body)
        elif not self.stream_usage:
            body.pop("stream_options", None)
        if call.operation == "chat" and not self.message_extensions:
            body["messages"] = without_extensions(body["messages"])
        return body
