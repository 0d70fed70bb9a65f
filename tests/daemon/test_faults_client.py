"""Clients that leave, stop reading, close half the connection, or send two requests at once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway import server
from gateway.routing.circuit import CircuitState
from tests.daemon.faulty import at_rest, outcomes, raw_client, reported, until, upstream
from tests.daemon.running import Gateway, configured, running
from tests.fakes.chat import chat_answer, chat_stream_events, chunk
from tests.fakes.nasty import NastyServer, Step
from tests.fakes.steps import (
    answer,
    broken_stream,
    chunks,
    limited,
    open_stream,
    send,
    stall,
    stream,
)

BEGUN = chat_stream_events(("Twelve chars",), finish=None, usage=None, done=False)
SOON = 15.0
"""Seconds: less than what would happen by itself takes, and enough for a busy machine."""
LEAVE = pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])


async def gone(nasty: NastyServer, index: int = 0) -> None:
    """The gateway has closed the connection of this request, long before the upstream would."""
    async with asyncio.timeout(SOON):
        await nasty.requests[index].gone.wait()


async def check_unharmed(gateway: Gateway) -> None:
    """No slot is held, and no circuit or health has heard of a client that left."""
    await at_rest(gateway)
    now = asyncio.get_running_loop().time()
    for key in gateway.live.memory.keys.values():
        for model in key.models.values():
            assert model.health.error_rate(now) == 0
            assert model.circuit.state(now) is CircuitState.CLOSED


@LEAVE
async def test_leaving_during_the_upload_asks_no_upstream(
    nasty: NastyServer, tmp_path: Path, reset: bool
) -> None:
    async with running(configured(upstream(nasty.url)), tmp_path) as gateway:
        async with raw_client(gateway) as client:
            client.chat(finish=False)
            await client.writer.drain()
            await until(lambda: gateway.live.in_flight)
            client.leave(reset=reset)
        record = await reported(gateway)
        assert (record.status, record.error) == (499, "client_closed_request")
        assert record.attempts == [] and record.input_tokens == 0
        await check_unharmed(gateway)
        assert nasty.accepted == 0


@LEAVE
@pytest.mark.parametrize("streamed", [False, True])
async def test_leaving_before_the_upstream_answers_closes_its_connection(
    nasty: NastyServer, tmp_path: Path, reset: bool, streamed: bool
) -> None:
    nasty.default = (stall(),)
    async with running(configured(upstream(nasty.url)), tmp_path) as gateway:
        async with raw_client(gateway) as client:
            client.chat(stream=streamed)
            await nasty.arrived(1)
            client.leave(reset=reset)
        await gone(nasty)
        record = await reported(gateway)
        assert (record.status, record.error, record.partial) == (499, "client_closed_request", True)
        assert outcomes(record) == ["cancelled"]
        assert record.estimated and record.input_tokens > 0 and record.output_tokens == 0
        await check_unharmed(gateway)
        assert len(nasty.requests) == 1


@LEAVE
async def test_leaving_in_mid_stream_accounts_what_was_sent(
    nasty: NastyServer, tmp_path: Path, reset: bool
) -> None:
    nasty.default = broken_stream(BEGUN, stall())
    async with running(configured(upstream(nasty.url)), tmp_path) as gateway:
        async with raw_client(gateway) as client:
            client.chat(stream=True)
            await client.reader.readuntil(b"Twelve chars")
            client.leave(reset=reset)
        await gone(nasty)
        record = await reported(gateway)
        assert (record.status, record.partial, outcomes(record)) == (499, True, ["cancelled"])
        assert record.estimated and record.output_tokens == 3 and record.cost_nano_usd
        assert record.first_token_ms is not None
        await check_unharmed(gateway)


@LEAVE
@pytest.mark.parametrize("streamed", [False, True])
async def test_leaving_while_backing_off_ends_the_attempts(
    nasty: NastyServer, tmp_path: Path, reset: bool, streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    nasty.default = answer(500)
    config = configured(upstream(nasty.url), policy={"retry": {"interval": "30s"}})
    async with running(config, tmp_path) as gateway:
        async with raw_client(gateway) as client:
            client.chat(stream=streamed)
            await nasty.arrived(1)
            client.leave(reset=reset)
            async with asyncio.timeout(SOON):
                record = await reported(gateway)
        assert (record.status, record.partial) == (499, True)
        await at_rest(gateway)
        assert len(nasty.requests) == 1


@LEAVE
async def test_leaving_the_queue_asks_no_upstream(nasty: NastyServer, tmp_path: Path, reset: bool) -> None:
    nasty.default = limited("1")
    policy = {"on_exhausted": "queue", "queue": {"max_wait": "60s"}, "retry": {"max_attempts": 1}}
    async with running(configured(upstream(nasty.url), policy=policy), tmp_path) as gateway:
        await gateway.ask()
        async with raw_client(gateway) as client:
            client.chat()
            await until(lambda: gateway.live.queue.size)
            client.leave(reset=reset)
        record = (await gateway.records(2))[0]
        assert (record.status, record.attempts) == (499, [])
        await check_unharmed(gateway)
        assert gateway.live.queue.size == 0
        assert len(nasty.requests) == 1


def flood(megabytes: int, sent: list[int]) -> tuple[Step, ...]:
    """A stream of so many MiB of content; ``sent`` counts those that went out."""
    piece = chunk({"content": "x" * (1024 * 1024)})

    async def count(peer: Any) -> None:
        sent.append(1)

    steps: list[Step] = [open_stream()]
    for _ in range(megabytes):
        steps += [chunks(piece), count]
    end = chat_stream_events((), usage=None)[1:]
    return (*steps, chunks(*end), send(b"0\r\n\r\n"))


async def test_a_client_that_does_not_read_holds_its_upstream_back_and_loses_nothing(
    nasty: NastyServer, tmp_path: Path
) -> None:
    sent: list[int] = []
    nasty.default = flood(40, sent)
    async with running(configured(upstream(nasty.url)), tmp_path) as gateway:
        async with raw_client(gateway, receive_buffer=16 * 1024) as client:
            client.chat(stream=True)
            await client.head()
            before = -1
            while len(sent) > before:  # until it comes to a standstill
                before = len(sent)
                await asyncio.sleep(0.15)
            assert before < 30
            body = bytearray()
            while not body.endswith(b"0\r\n\r\n"):
                body += await client.reader.read(1 << 20)
        assert body.count(b"x") >= 40 * 1024 * 1024
        assert b"data: [DONE]" in body[-100:]
        record = await reported(gateway)
        assert (record.status, record.partial) == (200, False)


async def test_a_client_that_never_reads_again_is_dropped(
    nasty: NastyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "STALL", 0.2)
    nasty.default = flood(40, [])
    async with (
        running(configured(upstream(nasty.url)), tmp_path) as gateway,
        raw_client(gateway, receive_buffer=16 * 1024) as client,
    ):
        client.chat(stream=True)
        await nasty.arrived(1)
        async with asyncio.timeout(SOON):
            await nasty.requests[0].gone.wait()
        record = await reported(gateway)
        assert (record.status, record.partial, outcomes(record)) == (499, True, ["cancelled"])
        await check_unharmed(gateway)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_client_that_only_closed_its_sending_side_is_answered(
    nasty: NastyServer, tmp_path: Path, streamed: bool
) -> None:
    go_on = asyncio.Event()
    nasty.default = (stall(go_on), *(stream() if streamed else answer()))
    async with running(configured(upstream(nasty.url)), tmp_path) as gateway:
        async with raw_client(gateway) as client:
            client.chat(stream=streamed)
            client.half_close()
            await nasty.arrived(1)
            asyncio.get_running_loop().call_later(0.1, go_on.set)
            if streamed:
                assert (await client.head())[0] == 200
                assert b"data: [DONE]" in await client.reader.readuntil(b"0\r\n\r\n")
            else:
                status, body = await client.answer()
                assert (status, body["choices"][0]["message"]["content"]) == (200, "Hello.")
        record = await reported(gateway)
        assert (record.status, record.partial) == (200, False)


async def test_two_requests_at_once_are_answered_in_order(nasty: NastyServer, tmp_path: Path) -> None:
    first = asyncio.Event()
    nasty.script((stall(first), *answer(200, chat_answer("one"))), answer(200, chat_answer("two")))
    async with running(configured(upstream(nasty.url)), tmp_path) as gateway:
        async with raw_client(gateway) as client:
            client.chat()
            client.chat()
            await nasty.arrived(1)
            first.set()
            texts = [(await client.answer())[1]["choices"][0]["message"]["content"] for _ in range(2)]
        assert texts == ["one", "two"]
        assert [record.status for record in await gateway.records(2)] == [200, 200]


async def test_a_stream_and_a_chat_behind_it_on_one_connection(nasty: NastyServer, tmp_path: Path) -> None:
    nasty.script(stream(), answer(200, chat_answer("two")))
    async with (
        running(configured(upstream(nasty.url)), tmp_path) as gateway,
        raw_client(gateway) as client,
    ):
        client.chat(stream=True)
        client.chat()
        await client.head()
        body = await client.reader.readuntil(b"\r\n0\r\n\r\n")
        assert b"data: [DONE]" in body
        assert (await client.answer())[1]["choices"][0]["message"]["content"] == "two"


async def test_leaving_with_two_requests_sent_cancels_the_first_and_drops_the_second(
    nasty: NastyServer, tmp_path: Path
) -> None:
    nasty.default = (stall(),)
    async with running(configured(upstream(nasty.url)), tmp_path) as gateway:
        async with raw_client(gateway) as client:
            client.chat()
            client.chat()
            await nasty.arrived(1)
        await gone(nasty)
        await at_rest(gateway)
        assert [record.status for record in await gateway.records(1)] == [499]
        assert len(nasty.requests) == 1
