"""Answers with status 200 that are none: malformed, huge, of another type, or an error in disguise."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.daemon.faulty import QUICK, check_error, outcomes, reported, upstream
from tests.daemon.running import configured, running
from tests.fakes.chat import HTML, chat_answer, chat_stream_events, error_body
from tests.fakes.nasty import NastyServer, Step
from tests.fakes.steps import answer, close, gzip_bomb, head, header_flood, send, stall, stream, truncated

MIB = 1024 * 1024
CASE = tuple[Step, ...]


def endless(size: int) -> CASE:
    """A body without framing of ``size`` bytes."""
    piece = b" " * MIB
    return (
        send(head(200, {"Content-Type": "application/json"})),
        *[send(piece)] * (size // MIB),
        close,
    )


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices": [{"index": 0, "mess',
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": 7}',
        b'{"choices": [null]}',
        b"\xff\xfe",
        chat_answer() + b"}",
    ],
)
async def test_what_is_no_answer_is_a_502_and_not_asked_for_twice(
    nasty: NastyServer, tmp_path: Path, body: bytes
) -> None:
    nasty.default = answer(200, body)
    config = configured(upstream(nasty.url, "one"), upstream(nasty.url, "two"), policy=QUICK)
    async with running(config, tmp_path) as gateway:
        status, error, headers = await gateway.ask()
        assert status == 502
        check_error(error, "invalid_upstream_response")
        assert headers["x-should-retry"] == "false"
        assert len(nasty.requests) == 1
        record = await reported(gateway)
        assert (record.status, record.error, outcomes(record)) == (
            502,
            "invalid_upstream_response",
            ["invalid"],
        )
        assert record.estimated and record.input_tokens > 0, "it was billed"


@pytest.mark.parametrize(
    "bad",
    [
        gzip_bomb(40),
        endless(33 * MIB),
        answer(200, b"\x1f\x8b" + bytes(40), {"Content-Encoding": "gzip"}),
    ],
    ids=["bomb", "endless", "damaged"],
)
async def test_a_body_that_cannot_be_taken_whole_is_a_502(
    nasty: NastyServer, tmp_path: Path, bad: CASE
) -> None:
    nasty.default = bad
    async with running(configured(upstream(nasty.url), policy=QUICK), tmp_path) as gateway:
        status, error, _ = await gateway.ask()
        assert status == 502
        check_error(error, "invalid_upstream_response")
        assert len(nasty.requests) == 1
        assert outcomes(await reported(gateway)) == ["invalid"]


@pytest.mark.parametrize(
    "bad",
    [
        header_flood(),
        answer(200, headers={"X-Long": "x" * 70_000}),
        (send(b"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n"),),
        (send(b"HTTP/9.9 200 OK\r\n\r\n"),),
        (send(b"SSH-2.0-OpenSSH_9.2\r\n"),),
        (send(b"\0" * 100), close),
        (send(b"HTTP/1.1 99 Low\r\n\r\n"), close),
        truncated(),
        answer(200, gzip.compress(chat_answer())[:-12], {"Content-Encoding": "gzip"}),
        answer(200, HTML, {"Content-Type": "text/html"}),
        answer(200, b"OK", {"Content-Type": "text/plain"}),
    ],
)
async def test_no_answer_at_all_is_retried_elsewhere_then_a_502(
    nasty: NastyServer, tmp_path: Path, bad: CASE
) -> None:
    nasty.script(bad)
    config = configured(upstream(nasty.url, "one"), upstream(nasty.url, "two"), policy=QUICK)
    async with running(config, tmp_path) as gateway:
        status, body, headers = await gateway.ask()
        assert (status, headers["x-coo-attempts"]) == (200, "2")
        assert body["choices"][0]["message"]["content"] == "Hello."
        assert outcomes(await reported(gateway)) == ["failed", "ok"]
        nasty.default = bad
        status, error, _ = await gateway.ask()
        assert status == 502
        check_error(error, "upstream_error")


@pytest.mark.parametrize(
    ("error", "outcome", "status", "code"),
    [
        (error_body("Boom."), "failed", 502, "upstream_error"),
        (error_body("Too many.", "requests", "rate_limit_exceeded"), "limited", 429, "upstream_rate_limited"),
        (error_body("Busy.", "overloaded_error"), "overloaded", 503, "upstream_overloaded"),
        (b'{"error": "Something."}', "failed", 502, "upstream_error"),
        (b'{"error": {"code": 503, "message": "Off."}}', "failed", 502, "upstream_error"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_an_error_in_a_200_is_the_error_it_says(
    nasty: NastyServer, tmp_path: Path, error: bytes, outcome: str, status: int, code: str, streamed: bool
) -> None:
    nasty.script(answer(200, error))
    nasty.default = stream() if streamed else answer()
    config = configured(upstream(nasty.url, "one"), upstream(nasty.url, "two"), policy=QUICK)
    async with running(config, tmp_path) as gateway:
        answered, _, headers = await (gateway.stream if streamed else gateway.ask)()
        assert (answered, headers["x-coo-attempts"]) == (200, "2")
        assert outcomes(await reported(gateway)) == [outcome, "ok"]
        nasty.default = answer(200, error)
        answered, body, _ = await gateway.ask(stream=streamed)
        assert answered == status
        check_error(body, code)


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_error_in_a_200_that_is_the_callers_ends_the_request(
    nasty: NastyServer, tmp_path: Path, streamed: bool
) -> None:
    nasty.default = answer(200, error_body("Too long.", "invalid_request_error", "context_length_exceeded"))
    config = configured(upstream(nasty.url, "one"), upstream(nasty.url, "two"))
    async with running(config, tmp_path) as gateway:
        status, body, _ = await gateway.ask(stream=streamed)
        assert status == 400
        assert check_error(body, "context_length_exceeded")["message"] == "Too long."
        assert len(nasty.requests) == 1


USAGES = [
    None,
    "many",
    {},
    {"prompt_tokens": -1, "completion_tokens": 5},
    {"prompt_tokens": "10", "completion_tokens": 5},
    {"prompt_tokens": 10, "completion_tokens": 10**18},
    {"prompt_tokens": 1.5, "completion_tokens": 1},
    {"prompt_tokens": True, "completion_tokens": 1},
]


@pytest.mark.parametrize("usage", USAGES)
async def test_absurd_figures_are_estimated_instead(nasty: NastyServer, tmp_path: Path, usage: Any) -> None:
    body = chat_answer("Twelve chars", usage)
    nasty.default = answer(200, body)
    async with running(configured(upstream(nasty.url)), tmp_path) as gateway:
        async with gateway.chat() as response:
            told = await response.json()
            if isinstance(told.get("usage"), dict):
                told["usage"].pop("cost", None)  # where the input makes sense, there is a cost
            assert told == orjson.loads(body)
        record = await reported(gateway)
        assert record.estimated
        assert 0 < record.input_tokens < 100
        assert 0 < record.output_tokens < 100
        assert record.cost_nano_usd is not None and 0 < record.cost_nano_usd < 10**6


@pytest.mark.parametrize("usage", USAGES[1:])
async def test_absurd_figures_of_a_stream_are_estimated_instead(
    nasty: NastyServer, tmp_path: Path, usage: Any
) -> None:
    events = chat_stream_events()
    final = orjson.loads(events[-2].removeprefix(b"data: "))
    events[-2] = b"data: " + orjson.dumps({**final, "usage": usage}) + b"\n\n"
    nasty.default = stream(events)
    async with running(configured(upstream(nasty.url)), tmp_path) as gateway:
        assert (await gateway.stream())[1][-1] == "[DONE]"
        record = await reported(gateway)
        assert record.estimated and not record.partial
        assert 0 < record.output_tokens < 100


@pytest.mark.parametrize("status", [429, 500, 401])
async def test_an_endless_error_body_is_not_read_to_its_end(
    nasty: NastyServer, tmp_path: Path, status: int
) -> None:
    nasty.default = (
        send(head(status, {"Content-Type": "application/json"})),
        *[send(b" " * MIB)] * 8,
        stall(),
    )
    async with running(configured(upstream(nasty.url), policy=QUICK), tmp_path) as gateway:
        answered, _, _ = await gateway.ask()
        assert answered == (429 if status == 429 else 502)
        assert (await reported(gateway)).attempts[0].status == status
