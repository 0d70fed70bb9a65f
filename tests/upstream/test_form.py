"""Bodies that are sent piece by piece, as fast as the upstream takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from gateway.api import Upstream
from gateway.upstream.client import Client
from gateway.upstream.connection import PIECES
from gateway.upstream.failure import FailureKind
from tests.upstream.conftest import Serve
from tests.upstream.peers import OK, Notes, Peer, Server, answering, failure

PIECE = b"0123456789abcdef" * 4096


class Form:
    """``count`` pieces; it knows how many were taken."""

    content_type = "multipart/form-data; boundary=b"

    def __init__(self, count: int, breaks_at: int | None = None) -> None:
        self.taken = 0
        self._count = count
        self._breaks_at = breaks_at

    def __len__(self) -> int:
        return self._count * len(PIECE)

    def pieces(self) -> Iterator[bytes]:
        for number in range(self._count):
            if number == self._breaks_at:
                raise OSError("gone")
            self.taken += 1
            yield PIECE


async def send(client: Client, server: Server, form: Form) -> Notes:
    return await send_to(client, server.request().url, form)


async def send_to(client: Client, url: str, form: Form) -> Notes:
    notes = Notes()
    request = Upstream("POST", url, [("content-type", form.content_type)], b"", form=form)
    await client.send(request, notes, 5)
    return notes


@pytest.mark.parametrize("count", [0, 1, 100])
async def test_all_of_it_arrives_and_the_connection_is_used_again(
    client: Client, serve: Serve, count: int
) -> None:
    bodies = []

    async def script(peer: Peer) -> None:
        for _ in range(2):
            head, body = await peer.request()
            assert b"\r\nContent-Length: %d\r\n" % len(body) in head
            bodies.append(body)
            await peer.send(OK)
        await peer.gone()

    server = serve(script)
    for _ in range(2):
        notes = await send(client, server, Form(count))
        await notes.over.wait()
        assert notes.body == b"ok"
    assert bodies == [PIECE * count] * 2
    assert server.connections == 1


async def test_others_have_their_turns_in_between(client: Client, serve: Serve) -> None:
    form, most = Form(200), 0

    async def watch() -> None:
        nonlocal most
        seen = form.taken
        while form.taken < 200:
            await asyncio.sleep(0)
            most, seen = max(most, form.taken - seen), form.taken

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.gone()

    watching = asyncio.create_task(watch())
    notes = await send(client, serve(script), form)
    await notes.over.wait()
    await watching
    assert 0 < most <= 2 * PIECES  # two of our goes may fit between two of the watcher's


async def test_no_more_is_read_than_the_upstream_takes(client: Client, serve: Serve) -> None:
    reading = asyncio.Event()

    async def script(peer: Peer) -> None:
        await reading.wait()
        await peer.request()
        await peer.send(OK)
        await peer.gone()

    form = Form(2000)
    notes = await send(client, serve(script), form)
    seen = -1
    while seen < form.taken:
        seen = form.taken
        await asyncio.sleep(0.05)
    assert seen < 500
    reading.set()
    await notes.over.wait()
    assert notes.body == b"ok" and form.taken == 2000


async def test_an_early_answer_ends_the_sending_and_the_connection(client: Client, serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(OK)
        await peer.gone()

    form = Form(10_000)
    server = serve(script)
    notes = await send(client, server, form)
    await notes.over.wait()
    assert notes.body == b"ok"
    await server.finish()
    assert form.taken < 10_000
    notes = await send(client, serve(answering(OK)), Form(1))
    await notes.over.wait()
    assert notes.body == b"ok"


async def test_a_connection_that_had_closed_gets_the_form_from_its_start(
    client: Client, serve: Serve
) -> None:
    bodies = []

    async def script(peer: Peer) -> None:
        _, body = await peer.request()
        bodies.append(body)
        await peer.send(OK)
        if peer.number == 0:  # keep-alive, but no more requests
            await peer.request()
            return
        await peer.gone()

    server = serve(script)
    for _ in range(2):
        notes = await send(client, server, Form(3))
        await notes.over.wait()
        assert notes.body == b"ok"
    assert bodies == [PIECE * 3] * 2 and server.connections == 2


async def test_a_form_that_cannot_be_read_back(client: Client, serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.gone()

    notes = await send(client, serve(script), Form(10, breaks_at=1))
    await notes.over.wait()
    assert failure(notes) == (FailureKind.RESET, False)
