"""Streams that break, stall, or are written in ways that are odd but legal."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.faulty import QUICK, check_error, outcomes, reported, upstream
from tests.daemon.running import Gateway, configured, events_of, running, text_of
from tests.fakes.chat import chat_stream_events, chunk, error_body
from tests.fakes.nasty import NastyServer, Peer, Step
from tests.fakes.openai_chat import DONE
from tests.fakes.steps import (
    LAST_CHUNK,
    answer,
    broken_stream,
    chunks,
    close,
    drip,
    open_stream,
    reset,
    send,
    stall,
    stream,
    until_close,
)

BEGUN = chat_stream_events(("Twelve chars",), finish=None, usage=None, done=False)
LIFECYCLE = BEGUN[:1]
ERROR = b"data: " + error_body("Node 10.1.2.3 is gone.") + b"\n\n"
SHORT = {"first_token": "150ms", "idle": "150ms"}
CASE = tuple[Step, ...]


def ended(steps: CASE) -> CASE:
    """The stream with the end that HTTP wants."""
    return (*steps, send(LAST_CHUNK))


async def heard(peer: Peer) -> None:
    """Stands for a wait until the client has got what was sent before."""


def after_content(*events: bytes) -> CASE:
    """A stream that breaks in a read of its own: together with its first content it would not have begun."""
    return ended((open_stream(), chunks(*BEGUN), heard, chunks(*events)))


BREAKS = {
    "reset": (broken_stream(BEGUN), "upstream_error", "failed"),
    "cut": (broken_stream(BEGUN, close), "upstream_error", "failed"),
    "ended": (ended((open_stream(), chunks(*BEGUN))), "upstream_error", "failed"),
    "closed": (until_close(BEGUN), "upstream_error", "failed"),
    "done without a finish reason": (stream([*BEGUN, DONE]), "upstream_error", "failed"),
    "silent": (broken_stream(BEGUN, stall()), "upstream_timeout", "timeout"),
    "dripping": (
        (open_stream(), chunks(*BEGUN), drip(b"1\r\nx\r\n" * 1000, 6, pause=0.02)),
        "upstream_timeout",
        "timeout",
    ),
    "error event": (after_content(ERROR), "upstream_error", "failed"),
    "named error event": (
        after_content(b'event: error\ndata: {"message": "10.1.2.3"}\n\n'),
        "upstream_error",
        "failed",
    ),
    "bad JSON": (after_content(b'data: {"choices": [\n\n', DONE), "invalid_upstream_response", "invalid"),
    "bad chunk": (
        (open_stream(), chunks(*BEGUN), send(b"zz\r\n")),
        "invalid_upstream_response",
        "invalid",
    ),
}


@pytest.mark.parametrize("case", BREAKS)
async def test_a_begun_stream_that_breaks_ends_with_one_error_event(
    nasty: NastyServer, tmp_path: Path, case: str
) -> None:
    steps, code, outcome = BREAKS[case]
    got = asyncio.Event()
    nasty.default = tuple(stall(got) if step is heard else step for step in steps)
    config = configured(upstream(nasty.url, "one", timeout=SHORT), upstream(nasty.url, "two", timeout=SHORT))
    async with running(config, tmp_path) as gateway:
        async with gateway.chat(stream=True) as response:
            body = await response.content.readany()
            got.set()
            body += await response.content.read()
        assert response.status == 200
        events = events_of(body)
        assert text_of(events) == "Twelve chars"
        check_error(events[-1], code)
        assert "10.1.2.3" not in str(events)
        assert sum("error" in event for event in events) == 1
        assert b"[DONE]" not in body
        assert len(nasty.requests) == 1
        if outcome == "timeout":
            await nasty.requests[0].gone.wait()
        record = await reported(gateway)
        assert (record.error, record.partial, outcomes(record)) == (code, True, [outcome])
        assert record.attempts[0].status == 200
        assert record.estimated and record.output_tokens == 3 and record.cost_nano_usd


@pytest.mark.parametrize("broken", ["dispatch.settle", "answers.StreamAnswer.response"])
async def test_a_bug_of_ours_ends_a_begun_stream_with_one_error_event_too(
    nasty: NastyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret-words")

    nasty.default = stream()
    async with running(configured(upstream(nasty.url)), tmp_path) as gateway:
        monkeypatch.setattr(f"gateway.request.{broken}", fail)
        async with gateway.chat(stream=True) as response:
            body = await response.content.read()
        events = events_of(body)
        assert text_of(events)
        assert response.headers["x-request-id"] in check_error(events[-1], "internal_error")["message"]
        assert sum("error" in event for event in events) == 1
        assert b"[DONE]" not in body
        record = await reported(gateway)
        assert (record.status, record.error, record.partial) == (200, "internal_error", True)


ANSWER = chat_stream_events(("Hello.",), usage=None, done=False)
PATIENT = {"first_token": "30s", "idle": "30s"}
SUFFICIENT = {
    "reset": broken_stream([*ANSWER, DONE]),
    "cut": broken_stream([*ANSWER, DONE], close),
    "left open": broken_stream([*ANSWER, DONE], stall()),
    "reset without DONE": broken_stream(ANSWER),
    "cut in what follows": (open_stream(), chunks(*ANSWER, b'data: {"choices": [], "us'), close),
}


@pytest.mark.parametrize("case", SUFFICIENT)
async def test_a_whole_answer_is_one_however_its_connection_ends(
    nasty: NastyServer, tmp_path: Path, case: str
) -> None:
    nasty.default = SUFFICIENT[case]
    async with running(configured(upstream(nasty.url, "one", timeout=PATIENT)), tmp_path) as gateway:
        async with asyncio.timeout(15), gateway.chat(stream=True) as response:
            events = events_of(await response.read())
        assert text_of(events) == "Hello." and events[-1] == "[DONE]"
        record = await reported(gateway)
        assert (record.error, record.partial, outcomes(record)) == (None, False, ["ok"])


EARLY = {
    "reset": broken_stream(LIFECYCLE),
    "cut": broken_stream(LIFECYCLE, close),
    "ended": ended((open_stream(), chunks(*LIFECYCLE))),
    "nothing": ended((open_stream(),)),
    "only DONE": stream([DONE]),
    "silent": broken_stream(LIFECYCLE, stall()),
    "only comments": (open_stream(), drip(b"4\r\n: \n\n\r\n" * 1000, 9, pause=0.02)),
    "error event": stream([ERROR]),
    "error after lifecycle": stream([*LIFECYCLE, ERROR]),
    "named error event": stream([b'event: error\ndata: {"message": "no"}\n\n']),
    "bad JSON": stream([b"data: {\n\n", DONE]),
    "bad JSON after lifecycle": stream([*LIFECYCLE, b'data: {"choices": "none"}\n\n', DONE]),
    "no stream": answer(headers={"Content-Type": "text/event-stream"}),
    "bad chunk": (open_stream(), send(b"zz\r\n")),
}


@pytest.mark.parametrize("case", EARLY)
async def test_what_breaks_before_the_first_content_is_never_seen(
    nasty: NastyServer, tmp_path: Path, case: str
) -> None:
    nasty.script(EARLY[case])
    nasty.default = stream()
    config = configured(upstream(nasty.url, "one", timeout=SHORT), upstream(nasty.url, "two", timeout=SHORT))
    async with running(config, tmp_path) as gateway:
        async with gateway.chat(stream=True, stream_options={"include_usage": True}) as response:
            assert response.status == 200
            assert response.headers["x-coo-attempts"] == "2"
            body = await response.read()
        events = events_of(body)
        assert text_of(events) == "Hello." and events[-1] == "[DONE]"
        assert sum(bool(event.get("choices")) for event in events[:-1]) == 4
        record = await reported(gateway)
        assert record.attempts[1].outcome == "ok" and not record.partial
        assert (record.input_tokens, record.output_tokens, record.estimated) == (10, 5, False)


async def test_a_stream_that_is_nowhere_understood_is_no_answer_and_nothing_is_charged(
    nasty: NastyServer, tmp_path: Path
) -> None:
    nasty.default = stream([b"data: {\n\n", DONE])
    config = configured(upstream(nasty.url, "one"), upstream(nasty.url, "two"))
    async with running(config, tmp_path) as gateway:
        status, body, _ = await gateway.ask(stream=True)
        assert status == 502
        check_error(body, "invalid_upstream_response")
        record = await reported(gateway)
        assert outcomes(record) == ["invalid"] * 2
        assert (record.input_tokens, record.cost_nano_usd) == (0, None)


def odd(events: list[bytes], case: str) -> bytes:
    """The same stream, written differently."""
    whole = b"".join(events)
    match case:
        case "CRLF":
            return whole.replace(b"\n", b"\r\n")
        case "CR":
            return whole.replace(b"\n", b"\r")
        case "BOM":
            return b"\xef\xbb\xbf" + whole
        case "comments":
            return b": hello\n\n" + whole.replace(b"\n\n", b"\n\n: more\n\n")
        case "no space":
            return whole.replace(b"data: ", b"data:")
        case "several data lines":
            return whole.replace(b', "object"', b',\ndata: "object"').replace(
                b',"object"', b',\ndata: "object"'
            )
        case "other fields":
            return whole.replace(b"data: ", b"event: message\nid: 7\nretry: 10\ndata: ")
        case _:
            return whole


@pytest.mark.parametrize(
    "case", ["plain", "CRLF", "CR", "BOM", "comments", "no space", "several data lines", "other fields"]
)
@pytest.mark.parametrize("cut", [1, 7, None])
async def test_a_legal_stream_arrives_byte_for_byte_however_it_is_written_and_cut(
    nasty: NastyServer, tmp_path: Path, case: str, cut: int | None
) -> None:
    texts = ("Grüße, 世界", "\u2028\U0001f600", "e\u0301")
    sent = odd(chat_stream_events(texts, usage=None), case)
    nasty.default = stream([sent], cut=cut)
    async with running(configured(upstream(nasty.url)), tmp_path) as gateway:
        async with gateway.chat(stream=True) as response:
            body = await response.read()
        last = sent.rfind(b"}") + 1  # what is behind it is the end of its line, and [DONE]
        assert body.startswith(sent[:last].removeprefix(b"\xef\xbb\xbf"))
        assert body.endswith(b"data: [DONE]\n\n")
        record = await reported(gateway)
        assert (record.status, record.error, record.partial) == (200, None, False)


async def test_an_event_of_three_mebibytes_passes(nasty: NastyServer, tmp_path: Path) -> None:
    big = "x" * (3 * 1024 * 1024)
    nasty.default = stream(chat_stream_events((big,)), cut=65536)
    async with running(configured(upstream(nasty.url)), tmp_path) as gateway:
        status, events, _ = await gateway.stream()
        assert (status, text_of(events), events[-1]) == (200, big, "[DONE]")


async def test_comments_go_out_while_the_upstream_is_silent_and_failing_over_stays_possible(
    nasty: NastyServer, tmp_path: Path
) -> None:
    go_on = asyncio.Event()
    nasty.script((stall(go_on), reset), stream())
    config = configured(
        upstream(nasty.url, "one"), upstream(nasty.url, "two"), server={"sse_keepalive": "50ms"}, policy=QUICK
    )
    async with running(config, tmp_path) as gateway, gateway.chat(stream=True) as response:
        first = await response.content.readuntil(b"\n\n")
        assert first.startswith(b":")
        assert (response.status, response.headers["x-coo-attempts"]) == (200, "1")
        go_on.set()
        events = events_of(await response.read())
        assert text_of(events) == "Hello." and events[-1] == "[DONE]"
        assert outcomes(await reported(gateway)) == ["failed", "ok"]


async def test_comments_go_out_between_events(nasty: NastyServer, tmp_path: Path) -> None:
    go_on = asyncio.Event()
    events = chat_stream_events()
    nasty.default = (open_stream(), chunks(*events[:2]), stall(go_on), chunks(*events[2:]), send(LAST_CHUNK))
    config = configured(upstream(nasty.url), server={"sse_keepalive": "50ms"})
    async with running(config, tmp_path) as gateway, gateway.chat(stream=True) as response:
        for _ in range(2):
            assert (await response.content.readuntil(b"\n\n")).startswith(b"data: ")
        for _ in range(2):
            assert (await response.content.readuntil(b"\n\n")).startswith(b":")
        go_on.set()
        assert (await response.read()).endswith(b"data: [DONE]\n\n")


async def test_a_final_failure_after_a_comment_is_an_event(nasty: NastyServer, tmp_path: Path) -> None:
    go_on = asyncio.Event()
    nasty.default = (stall(go_on), *answer(401))
    config = configured(upstream(nasty.url), server={"sse_keepalive": "50ms"})
    async with running(config, tmp_path) as gateway, gateway.chat(stream=True) as response:
        await response.content.readuntil(b"\n\n")
        go_on.set()
        body = await response.read()
        assert response.status == 200
        (event,) = events_of(body)
        check_error(event, "upstream_auth_error")
        assert b"[DONE]" not in body
        record = await reported(gateway)
        assert (record.error, outcomes(record)) == ("upstream_auth_error", ["key"])


async def seen(gateway: Gateway, count: int, **body: Any) -> list[bytes]:
    """The first ``count`` events of a stream, which is then left."""
    async with gateway.chat(stream=True, **body) as response:
        return [await response.content.readuntil(b"\n\n") for _ in range(count)]


async def test_each_event_goes_out_when_it_comes(nasty: NastyServer, tmp_path: Path) -> None:
    nasty.default = broken_stream([*BEGUN, chunk({"content": "more"})], stall())
    async with running(configured(upstream(nasty.url)), tmp_path) as gateway:
        events = await seen(gateway, 3)
        assert b"more" in events[2]
        async with asyncio.timeout(15):
            await nasty.requests[0].gone.wait()
