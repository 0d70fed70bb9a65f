"""Anthropic: a chat in OpenAI's form is translated to the Messages API, and its answer back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import orjson

from gateway.api import Call, Outcome, Reader, Unsupported, Upstream
from gateway.dialects.headroom import ANTHROPIC, Announced
from gateway.dialects.messages.answer import WholeReader
from gateway.dialects.messages.errors import diagnose
from gateway.dialects.messages.request import Target, from_chat
from gateway.dialects.messages.stream import StreamReader


@dataclass(frozen=True)
class Claude:
    """Anthropic's Messages API, or a server that speaks it."""

    base_url: str = "https://api.anthropic.com"
    """With or without a trailing ``/v1``."""
    anthropic_version: str = "2023-06-01"
    """The header of this name; from ``2026-10-21`` on there is no sampling."""
    anthropic_beta: tuple[str, ...] = ()
    """Beta features to ask for, sent as the header of this name."""
    default_max_tokens: int = 4096
    """Longest answer, in tokens, where the client names no limit: Anthropic insists on one."""

    operations: ClassVar[Mapping[str, str]] = {"chat": "messages"}
    headroom: ClassVar[Announced] = ANTHROPIC

    @cached_property
    def _url(self) -> str:
        return self.base_url.rstrip("/").removesuffix("/v1") + "/v1/messages"

    def prepare(self, call: Call, secret: str) -> Upstream:
        target = Target(call.model, self.anthropic_version, self.default_max_tokens, call.max_tokens)
        try:
            payload, dropped = from_chat(call.body, target)
            if call.stream:
                payload["stream"] = True
            body = orjson.dumps(payload)
        except (RecursionError, orjson.JSONEncodeError):
            raise Unsupported("messages", "nested too deeply, or holding text that is not Unicode") from None
        headers = [
            ("x-api-key", secret),
            ("anthropic-version", self.anthropic_version),
            ("content-type", "application/json"),
        ]
        if self.anthropic_beta:
            headers.append(("anthropic-beta", ",".join(self.anthropic_beta)))
        return Upstream("POST", self._url, headers, body, dropped)

    def reader(self, call: Call) -> Reader:
        return StreamReader(call) if call.stream else WholeReader()

    def diagnose(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        return diagnose(status, headers, body)
