"""An attempt ends in any case: with the answer, or with an outcome that says what was wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import cast

import pytest

from gateway.api import Chunk, Kind, Outcome, Reader, Upstream, Usage
from gateway.catalog import Target
from gateway.redact import Redactor
from gateway.request.attempt import MAX_ERROR_BODY, MAX_HELD, Attempt, StreamAttempt, WholeAttempt, outcome_of
from gateway.upstream.client import Client
from gateway.upstream.exchange import Exchange
from gateway.upstream.failure import FailureKind, UpstreamFailure
from gateway.upstream.receiver import Receiver

REQUEST = Upstream("POST", "http://upstream.test/", [], b"")
FAR = 60.0

NO_SECRET = Redactor("")


class Plugin:
    """A provider whose diagnosis names the error body's length."""

    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken

    def diagnose(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        if self.broken:
            raise KeyError("status")
        return Outcome(Kind.KEY, status, str(len(body)))


class Plain:
    """A reader for which each read is a chunk, content if it is in upper case."""

    def __init__(self, broken: str = "") -> None:
        self.broken = broken
        self.usage: Usage | None = None
        self.fault: Outcome | None = None
        self.complete = self.done = False
        self.produced = 0

    def feed(self, data: bytes) -> list[Chunk]:
        if self.broken == "feed":
            raise IndexError("choices")
        return [Chunk(data, content=data.isupper())]

    def finish(self) -> list[Chunk]:
        if self.broken == "finish":
            raise IndexError("choices")
        return []


class Scripted:
    """A client whose exchange plays a script to the receiver."""

    def __init__(
        self,
        *script: bytes | int | UpstreamFailure,
        end: bool = True,
        content_type: str = "text/event-stream, application/json",
    ) -> None:
        """An int is a status; what comes first is one, or stands behind a 200."""
        self._script = script
        self._end = end
        self._content_type = content_type
        self.exchange = Exchange(b"", b"", cast(Receiver, None), 1.0)

    async def send(self, request: Upstream, receiver: Receiver, connect_timeout: float) -> Exchange:
        asyncio.get_running_loop().call_soon(self._play, receiver)
        return self.exchange

    def _play(self, receiver: Receiver) -> None:
        for step in self._script:
            if isinstance(step, int):
                receiver.on_head(step, {"content-type": self._content_type})
            elif isinstance(step, bytes):
                receiver.on_data(step)
            else:
                receiver.on_fail(step)
        if self._end:
            receiver.on_end()


async def run(attempt: Attempt, client: Scripted, seconds: float = FAR) -> Outcome | None:
    deadline = asyncio.get_running_loop().time() + seconds
    outcome = await attempt.run(cast(Client, client), REQUEST, 1.0, deadline)
    assert client.exchange.aborted
    return outcome


def target(broken: str, redactor: Redactor = NO_SECRET) -> Target:
    """As much of one as an attempt looks at."""
    service = SimpleNamespace(plugin=Plugin(broken=broken == "diagnose"), headroom={})
    return cast(Target, SimpleNamespace(service=service, secret=SimpleNamespace(redactor=redactor)))


def whole(broken: str = "") -> WholeAttempt:
    return WholeAttempt(target(broken), cast(Reader, Plain(broken)))


def streamed(delivered: list[Chunk], broken: str = "", idle: float = FAR) -> StreamAttempt:
    return StreamAttempt(
        target(broken),
        cast(Reader, Plain(broken)),
        deliver=delivered.extend,
        idle=idle,
        latest=asyncio.get_running_loop().time() + FAR,
    )


KEY = "sk-CANARY-0123456789-abcdef"


@pytest.mark.parametrize("before", [b"", b"x" * 500])
@pytest.mark.parametrize("at", [[1], [13], [len(KEY) - 1], [5, 6, 20], list(range(1, len(KEY)))])
async def test_our_key_is_found_however_it_is_cut(at: list[int], before: bytes) -> None:
    delivered: list[Chunk] = []
    key = KEY.encode()
    pieces = [key[start:end] for start, end in zip([0, *at], [*at, None], strict=True)]
    pieces[0] = before + pieces[0]
    knowing = target("", Redactor(KEY))
    for attempt in (
        WholeAttempt(knowing, cast(Reader, Plain())),
        StreamAttempt(knowing, cast(Reader, Plain()), deliver=delivered.extend, idle=FAR, latest=2**40),
    ):
        outcome = await run(attempt, Scripted(200, b"HELLO", *pieces))
        assert outcome is not None and (outcome.kind, outcome.status) == (Kind.INVALID, 200)
    assert key not in b"".join(chunk.raw for chunk in delivered)


async def test_what_only_looks_like_our_key_passes() -> None:
    for secret in (KEY, ""):
        attempt = WholeAttempt(target("", Redactor(secret)), cast(Reader, Plain()))
        assert await run(attempt, Scripted(200, KEY[:9].encode(), b"-", KEY[9:].encode(), b"sk", b"")) is None


@pytest.mark.parametrize("broken", ["feed", "finish"])
async def test_a_plugins_bug_fails_its_attempt_and_nothing_else(
    broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    for attempt in (whole(broken), streamed([], broken)):
        outcome = await run(attempt, Scripted(200, b"x"))
        assert outcome is not None and outcome.kind is Kind.INVALID
    assert len(caplog.records) == 2


async def test_a_bug_in_reading_an_error_fails_the_attempt_as_well(caplog: pytest.LogCaptureFixture) -> None:
    outcome = await run(whole("diagnose"), Scripted(500, b"x"))
    assert outcome is not None and (outcome.kind, outcome.status) == (Kind.FAILED, 500)
    assert len(caplog.records) == 1


async def test_an_error_is_known_however_its_body_ends() -> None:
    cut = UpstreamFailure(FailureKind.RESET, "reset", answered=True)
    for client in (Scripted(401, b"1234"), Scripted(401, b"1234", cut, end=False)):
        assert await run(whole(), client) == Outcome(Kind.KEY, 401, "4")
    assert await run(whole(), Scripted(401, b"1234", end=False), 0.01) == Outcome(Kind.KEY, 401, "4")
    flood = Scripted(401, b" " * MAX_ERROR_BODY, end=False)
    assert await run(whole(), flood) == Outcome(Kind.KEY, 401, str(MAX_ERROR_BODY))


async def test_media_types_are_compared_without_case() -> None:
    assert await run(whole(), Scripted(200, b"x", content_type="Application/JSON")) is None
    for content_type in ("Text/Event-Stream; Charset=UTF-8", "Application/JSON"):
        assert await run(streamed([]), Scripted(200, b"TEXT", content_type=content_type)) is None
    for attempt in (whole(), streamed([])):
        outcome = await run(attempt, Scripted(200, b"x", content_type="Text/HTML"))
        assert outcome is not None and outcome.kind is Kind.FAILED


async def test_an_error_whose_body_does_not_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.request.attempt.ENDING", 0.02)
    for attempt in (whole(), streamed([])):
        outcome = await asyncio.wait_for(run(attempt, Scripted(429, b"1234", end=False)), 1.0)
        assert outcome == Outcome(Kind.KEY, 429, "4")
    monkeypatch.setattr("gateway.request.attempt.ENDING", FAR)
    outcome = await asyncio.wait_for(run(whole(), Scripted(429, b"1234", end=False), 0.02), 1.0)
    assert outcome == Outcome(Kind.KEY, 429, "4")


@pytest.mark.parametrize(
    ("failure", "status", "kind"),
    [
        (FailureKind.CONNECT, 0, Kind.FAILED),
        (FailureKind.TLS, 0, Kind.FAILED),
        (FailureKind.TIMEOUT, 0, Kind.TIMEOUT),
        (FailureKind.RESET, 200, Kind.FAILED),
        (FailureKind.TRUNCATED, 200, Kind.FAILED),
        (FailureKind.TOO_LARGE, 200, Kind.INVALID),
        (FailureKind.INVALID, 200, Kind.INVALID),
        (FailureKind.INVALID, 0, Kind.FAILED),
    ],
)
def test_only_an_answer_that_came_is_called_invalid(failure: FailureKind, status: int, kind: Kind) -> None:
    assert outcome_of(UpstreamFailure(failure, "why"), status) == Outcome(kind, status, "why")


async def test_nothing_is_delivered_before_the_first_content() -> None:
    delivered: list[Chunk] = []
    cut = UpstreamFailure(FailureKind.RESET, "reset", answered=True)
    outcome = await run(streamed(delivered), Scripted(200, b"role", b"role", cut, end=False))
    assert outcome == Outcome(Kind.FAILED, 200, "reset")
    assert delivered == []
    assert await run(streamed(delivered), Scripted(200, b"role", b"TEXT")) is None
    assert [chunk.raw for chunk in delivered] == [b"role", b"TEXT"]


async def test_an_upstream_that_does_not_hang_up_after_its_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.request.attempt.ENDING", 0.02)
    delivered: list[Chunk] = []
    attempt = streamed(delivered)
    attempt.reader.complete = True
    assert await run(attempt, Scripted(b"HELLO", end=False)) is None
    assert [chunk.raw for chunk in delivered] == [b"HELLO"]


async def test_after_the_last_event_it_is_waited_for_even_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.request.attempt.CLOSING", 0.02)
    attempt = streamed([])
    attempt.reader.complete = cast(Plain, attempt.reader).done = True
    assert await asyncio.wait_for(run(attempt, Scripted(b"HELLO", end=False)), 1.0) is None


@pytest.mark.parametrize("kind", [FailureKind.RESET, FailureKind.TRUNCATED, FailureKind.INVALID])
@pytest.mark.parametrize("answer", [b"HELLO", b"nothing"])
async def test_how_the_connection_ends_after_the_answer_does_not_matter(
    kind: FailureKind, answer: bytes
) -> None:
    delivered: list[Chunk] = []
    attempt = streamed(delivered)
    attempt.reader.complete = True
    cut = UpstreamFailure(kind, "cut", answered=True)
    assert await run(attempt, Scripted(200, answer, cut, end=False)) is None
    assert [chunk.raw for chunk in delivered] == [answer]


async def test_what_is_held_back_is_bounded() -> None:
    delivered: list[Chunk] = []
    attempt = streamed(delivered, idle=0.01)
    assert await run(attempt, Scripted(200, b"-" * MAX_HELD, b"-", end=False)) is not None
    assert attempt.committed and len(delivered) == 2


async def test_the_time_in_which_the_client_does_not_read_is_not_the_upstreams() -> None:
    attempt = streamed([], idle=0.02)
    client = Scripted(200, b"TEXT", end=False)
    running = asyncio.create_task(run(attempt, client))
    attempt.pause(True)
    await asyncio.sleep(0.06)
    assert not running.done()
    attempt.pause(False)
    outcome = await running
    assert outcome is not None and outcome.kind is Kind.TIMEOUT
