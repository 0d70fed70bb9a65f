"""An upstream within the gateway: it repeats what it is told, as fast, as often and as faultily as wanted."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import orjson

from gateway.api import Call, Outcome, Reader, Served, Upstream
from gateway.dialects import chat_errors
from gateway.dialects.passed import PASSED
from gateway_providers.echo_answers import answers, embeddings
from gateway_providers.echo_passed import passed
from gateway_providers.echo_shapes import events, whole
from gateway_providers.openai import native_reader, natively

_MINUTE = 60.0


@dataclass(slots=True)
class _Traffic:
    """What one echo has seen."""

    requests: int = 0
    admitted: deque[float] = field(default_factory=deque)
    """When, in monotonic seconds, within the last minute; kept only under a rate limit."""


@dataclass(frozen=True, slots=True)
class Echo:
    """Answers in OpenAI's dialect without any network. Words are its tokens; the same request gives the
    same answer, but for the time in ``created``."""

    operations: ClassVar[Mapping[str, str]] = natively("chat", "completions", "embeddings", *sorted(PASSED))

    reply: str = "{message}"
    """What it says; ``{message}`` stands for the last user message."""
    first_token_ms: float = 0.0
    """Time to the first event of a stream, in milliseconds."""
    token_ms: float = 0.0
    """Time between events, in milliseconds; a whole answer takes as long as its stream would."""
    failure_rate: float = 0.0
    """Share of the requests that fail, 0 to 1, spread evenly: at 0.25 each fourth one."""
    error_status: int = 500
    """The status of those failures."""
    rate_limit_per_minute: int = 0
    """Requests it admits in any 60 seconds; 0: no limit."""
    _traffic: _Traffic = field(default_factory=_Traffic, init=False, repr=False, compare=False)

    def prepare(self, call: Call, secret: str) -> Upstream:
        """For the looks of it: nothing is sent."""
        return Upstream("POST", "echo:", [], orjson.dumps({**call.body, "model": call.model}))

    def reader(self, call: Call) -> Reader:
        """A fresh reader for the answer to ``call``."""
        return native_reader(call)

    def diagnose(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Say what a non-2xx answer means."""
        return chat_errors.diagnose(status, headers, body)

    async def serve(self, call: Call, secret: str) -> Served:
        """Answer ``call``, or fail as the settings say."""
        if (wait := self._wait()) > 0:
            message = f"this echo admits {self.rate_limit_per_minute} requests a minute"
            refused = _failure(429, message, "rate_limit_exceeded")
            return Served(429, {**refused.headers, "retry-after": str(math.ceil(wait))}, refused.body)
        if self._fails():
            return _failure(self.error_status, "this echo fails as often as it was told to", None)
        if call.operation in PASSED:
            kind, body = passed(call)
            return Served(200, {"content-type": kind}, self._passed(body))
        kind = "text/event-stream" if call.stream else "application/json"
        return Served(200, {"content-type": kind}, self._stream(call) if call.stream else self._whole(call))

    async def _stream(self, call: Call) -> AsyncIterator[bytes]:
        pause = self.first_token_ms
        for event in events(call, *answers(call, self.reply)):
            await _sleep(pause)
            yield event
            pause = self.token_ms

    async def _whole(self, call: Call) -> AsyncIterator[bytes]:
        if call.operation == "embeddings":
            await _sleep(self.first_token_ms)
            yield orjson.dumps(embeddings(call))
            return
        prompt_tokens, found = answers(call, self.reply)
        await _sleep(self.first_token_ms + self.token_ms * sum(len(answer.pieces) for answer in found))
        yield orjson.dumps(whole(call, prompt_tokens, found))

    async def _passed(self, body: bytes) -> AsyncIterator[bytes]:
        await _sleep(self.first_token_ms)
        yield body

    def _wait(self) -> float:
        """Seconds until the rate limit admits a request; 0 if it does now, and the request is counted."""
        if not self.rate_limit_per_minute:
            return 0.0
        now, admitted = time.monotonic(), self._traffic.admitted
        while admitted and admitted[0] <= now - _MINUTE:
            admitted.popleft()
        if len(admitted) >= self.rate_limit_per_minute:
            return admitted[0] + _MINUTE - now
        admitted.append(now)
        return 0.0

    def _fails(self) -> bool:
        before = self._traffic.requests
        self._traffic.requests += 1
        return int((before + 1) * self.failure_rate) > int(before * self.failure_rate)


async def _sleep(milliseconds: float) -> None:
    if milliseconds > 0:
        await asyncio.sleep(milliseconds / 1000)


def _failure(status: int, message: str, code: str | None) -> Served:
    error = {"message": message, "type": "server_error", "param": None, "code": code}
    return Served(status, {"content-type": "application/json"}, _once(orjson.dumps({"error": error})))


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
