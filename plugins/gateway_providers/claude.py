"""Anthropic: Messages pass as they are; a chat in OpenAI's form is translated, and its answer back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import orjson

from gateway.api import Call, Outcome, Reader, Unsupported, Upstream
from gateway.dialects.headroom import ANTHROPIC, Announced
from gateway.dialects.messages.answer import WholeReader
from gateway.dialects.messages.errors import diagnose
from gateway.dialects.messages.native import NativeStream, NativeWhole, addressed
from gateway.dialects.messages.request import Target, from_chat
from gateway.dialects.messages.stream import StreamReader


@dataclass(frozen=True)
class Claude:
    """Anthropic's Messages API, or a server that speaks it."""

    base_url: str = "https://api.anthropic.com"
    """With or without a trailing ``/v1``."""
    anthropic_version: str = "2023-06-01"
    """The header of this name; from ``2026-10-21`` on there is no sampling. A client that speaks Messages
    may name another."""
    anthropic_beta: tuple[str, ...] = ()
    """Beta features to ask for, sent as the header of this name, before those a client asks for."""
    default_max_tokens: int = 4096
    """Longest answer, in tokens, where the client names no limit: Anthropic insists on one."""

    operations: ClassVar[Mapping[str, str]] = {
        "chat": "messages",
        "messages": "messages",
        "count_tokens": "messages",
    }
    headroom: ClassVar[Announced] = ANTHROPIC

    @cached_property
    def _url(self) -> str:
        return self.base_url.rstrip("/").removesuffix("/v1") + "/v1/messages"

    def prepare(self, call: Call, secret: str) -> Upstream:
        try:
            payload, dropped = self._translated(call) if call.operation == "chat" else addressed(call)
            body = orjson.dumps(payload)
        except (RecursionError, orjson.JSONEncodeError):
            raise Unsupported("messages", "nested too deeply, or holding text that is not Unicode") from None
        headers = [
            ("x-api-key", secret),
            ("anthropic-version", call.headers.get("anthropic-version", self.anthropic_version)),
            ("content-type", "application/json"),
        ]
        if beta := ",".join(self._beta(call)):
            headers.append(("anthropic-beta", beta))
        url = f"{self._url}/count_tokens" if call.operation == "count_tokens" else self._url
        return Upstream("POST", url, headers, body, dropped)

    def reader(self, call: Call) -> Reader:
        if call.operation == "chat":
            return StreamReader(call) if call.stream else WholeReader()
        return NativeStream() if call.stream else NativeWhole(counting=call.operation == "count_tokens")

    def diagnose(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        return diagnose(status, headers, body)

    def _translated(self, call: Call) -> tuple[dict[str, Any], tuple[str, ...]]:
        target = Target(call.model, self.anthropic_version, self.default_max_tokens, call.max_tokens)
        payload, dropped = from_chat(call.body, target)
        if call.stream:
            payload["stream"] = True
        return payload, dropped

    def _beta(self, call: Call) -> tuple[str, ...]:
        """The operator's features and the client's, each once."""
        asked = [name.strip() for name in call.headers.get("anthropic-beta", "").split(",")]
        return tuple(dict.fromkeys([*self.anthropic_beta, *filter(None, asked)]))
