"""Many at once: a provider that dies under load, and what is left after hundreds of broken requests."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.daemon.faulty import (
    at_rest,
    check_error,
    meter_in_flight,
    outcomes,
    raw_client,
    until,
    upstream,
)
from tests.daemon.running import Gateway, configured, events_of, running, text_of
from tests.fakes.chat import chat_stream_events
from tests.fakes.nasty import NastyServer
from tests.fakes.steps import (
    LAST_CHUNK,
    answer,
    broken_stream,
    chunks,
    close,
    open_stream,
    send,
    stall,
    stream,
)

BEGUN = chat_stream_events(("Twelve chars",), finish=None, usage=None, done=False)
EACH = 50


async def kill(server: NastyServer) -> None:
    """What clients see when the process behind a port is killed: resets, then refused connections."""
    for peer in list(server.peers):
        peer.reset()
    await server.__aexit__()


async def test_nobody_whose_answer_had_not_begun_notices_that_a_provider_dies(tmp_path: Path) -> None:
    async with NastyServer(answer()) as survivor:
        dying = NastyServer((stall(),))
        await dying.__aenter__()
        dying.models = {"m": (stall(),)}
        survivor.models = {"m": answer()}
        config = configured(
            upstream(dying.url, "dying"),
            upstream(survivor.url, "survivor"),
            policy={"algorithm": "round_robin"},
        )
        async with running(config, tmp_path) as gateway:
            chats = [asyncio.create_task(gateway.ask()) for _ in range(EACH)]
            await dying.arrived(EACH // 2)
            await kill(dying)
            chats += [asyncio.create_task(gateway.ask()) for _ in range(EACH)]
            answers = await asyncio.gather(*chats)
            assert [status for status, _, _ in answers] == [200] * 2 * EACH
            assert {headers["x-coo-provider"] for _, _, headers in answers} == {"survivor"}
            records = await gateway.records(2 * EACH)
            assert all(record.attempts[-1].outcome == "ok" for record in records)
            assert sum(len(record.attempts) == 2 for record in records) >= EACH // 2
            await at_rest(gateway)


async def read_stream(gateway: Gateway, begun: asyncio.Semaphore) -> list[object]:
    """The events of a stream; ``begun`` is released when its first content is there."""
    async with gateway.chat(stream=True) as response:
        assert response.status == 200
        body = bytearray()
        told = False
        while piece := await response.content.readany():
            body += piece
            if not told and b"Twelve" in body:
                begun.release()
                told = True
        assert body.count(b"[DONE]") == (b'"error"' not in body)
        return events_of(bytes(body))


async def test_begun_streams_end_with_one_error_and_the_others_move_on(tmp_path: Path) -> None:
    async with NastyServer(stream()) as survivor:
        dying = NastyServer()
        await dying.__aenter__()
        dying.script(*[broken_stream(BEGUN, stall()) if turn % 2 else (stall(),) for turn in range(EACH)])
        config = configured(
            upstream(dying.url, "dying"),
            upstream(survivor.url, "survivor"),
            policy={"algorithm": "round_robin"},
        )
        async with running(config, tmp_path) as gateway:
            begun = asyncio.Semaphore(0)
            streams = [asyncio.create_task(read_stream(gateway, begun)) for _ in range(2 * EACH)]
            await dying.arrived(EACH)
            for _ in range(EACH // 2):
                await begun.acquire()
            await kill(dying)
            ended = await asyncio.gather(*streams)
            broken = [events for events in ended if events[-1] != "[DONE]"]
            assert len(broken) == EACH // 2
            for events in broken:
                check_error(events[-1], "upstream_error")
                assert text_of(events) == "Twelve chars"
            assert all(text_of(events) == "Hello." for events in ended if events[-1] == "[DONE]")
            records = await gateway.records(2 * EACH)
            assert sum(record.partial for record in records) == EACH // 2
            assert all(outcomes(record) == ["failed"] for record in records if record.partial)
            assert all(outcomes(record)[-1] == "ok" for record in records if not record.partial)


async def abandon(gateway: Gateway, number: int) -> None:
    """A stream that is left: before its content, after it, in good order or not."""
    async with raw_client(gateway) as client:
        client.chat(stream=True, model="slow" if number % 2 else "m")
        if number % 2:
            await asyncio.sleep(0)
        else:
            await client.reader.readuntil(b"Twelve chars")
        client.leave(reset=number % 3 == 0)


async def test_nothing_is_left_of_two_hundred_abandoned_streams(nasty: NastyServer, tmp_path: Path) -> None:
    nasty.default = broken_stream(BEGUN, stall())
    nasty.models = {"slow": (stall(),)}
    provider = upstream(nasty.url, models=["slow"], limits={"max_parallel": 1000})
    async with running(configured(provider), tmp_path) as gateway:
        await gateway.live.store.append([])
        await abandon(gateway, 0)
        await at_rest(gateway)
        await until(lambda: not nasty.connections)
        before = asyncio.all_tasks()
        for batch in range(4):
            await asyncio.gather(*(abandon(gateway, batch * 50 + number) for number in range(50)))
        await at_rest(gateway)
        await until(lambda: not nasty.connections)
        assert gateway.live.in_flight == 0
        assert meter_in_flight(gateway) == [0, 0]
        await until(lambda: not asyncio.all_tasks() - before)
        for record in await gateway.records(101):
            assert (record.status, record.error, record.partial) == (499, "client_closed_request", True)
        nasty.default = stream()
        assert (await gateway.stream())[0] == 200


async def test_nothing_is_left_of_a_hundred_failures(nasty: NastyServer, tmp_path: Path) -> None:
    endings = [
        (close,),
        answer(500),
        answer(200, b"{"),
        broken_stream(BEGUN),
        broken_stream(BEGUN, close),
        (open_stream(), chunks(*BEGUN), send(LAST_CHUNK)),
    ]
    async with running(
        configured(upstream(nasty.url, limits={"max_parallel": 9}), policy={"retry": {"max_attempts": 1}}),
        tmp_path,
    ) as gateway:
        before = asyncio.all_tasks()
        for turn in range(100):
            nasty.script(endings[turn % len(endings)])
            async with gateway.chat(stream=turn % len(endings) > 2) as response:
                await response.read()
        await at_rest(gateway)
        await until(lambda: nasty.connections <= 1)
        await until(lambda: not asyncio.all_tasks() - before)
        assert len(await gateway.records(100)) == 100
