"""Connections of one socket, accepted by several: each gets its share, none waits for who does not come."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import pytest
import trustme

from gateway import acceptor
from gateway.acceptor import Acceptor
from gateway.workers.shares import Shares


class Served(asyncio.Protocol):
    """A connection that was made, which says so."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(b"!")


@contextmanager
def socket_of_all() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=200) as sock:
        sock.setblocking(False)
        yield sock


class Process:
    """One of those that accept, with the connections that were made."""

    def __init__(
        self, sock: socket.socket, shares: Shares, number: int, tls: ssl.SSLContext | None = None
    ) -> None:
        self.made: list[Served] = []
        share = shares.of(number)
        self.acceptor = Acceptor(sock.dup(), self._make, lambda: len(self.made), share, tls)

    def _make(self) -> Served:
        self.made.append(Served())
        return self.made[-1]

    def __len__(self) -> int:
        return len(self.made)


@asynccontextmanager
async def accepting(*processes: Process) -> AsyncIterator[None]:
    for process in processes:
        process.acceptor.open()
    try:
        yield
    finally:
        for process in processes:
            await process.acceptor.close()


@asynccontextmanager
async def connected(sock: socket.socket, count: int) -> AsyncIterator[None]:
    """So many clients, all of them served."""
    opened = [await asyncio.open_connection(*sock.getsockname()) for _ in range(count)]
    try:
        for reader, _ in opened:
            assert await reader.readexactly(1) == b"!"
        yield
    finally:
        for _, writer in opened:
            writer.close()


async def test_a_burst_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "PATIENCE", 0.02)
    shares = Shares.make(2)
    with socket_of_all() as sock:
        one, other = (Process(sock, shares, number) for number in range(2))
        async with accepting(one, other), connected(sock, 100):
            assert len(one) + len(other) == 100
            assert min(len(one), len(other)) >= 40


async def test_who_has_fewer_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "PATIENCE", 3600.0)
    shares = Shares.make(2)
    with socket_of_all() as sock:
        one, other = (Process(sock, shares, number) for number in range(2))
        async with accepting(one), connected(sock, 12), accepting(other), connected(sock, 8):
            assert len(other) == 8


async def test_nobody_waits_for_long_for_one_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "PATIENCE", 0.0)
    shares = Shares.make(2)
    shares.of(1).tell(0)
    with socket_of_all() as sock:
        one = Process(sock, shares, 0)
        async with accepting(one), connected(sock, 100):
            assert len(one) == 100


async def test_one_whose_place_is_empty_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "PATIENCE", 3600.0)
    shares = Shares.make(2)
    shares.of(1).tell(0)
    shares.of(1).leave()
    with socket_of_all() as sock:
        one = Process(sock, shares, 0)
        async with accepting(one), connected(sock, 20):
            assert len(one) == 20


async def test_one_that_is_closed_leaves_its_place() -> None:
    shares = Shares.make(2)
    with socket_of_all() as sock:
        one, other = (Process(sock, shares, number) for number in range(2))
        async with accepting(one, other), connected(sock, 10):
            pass
    assert not shares.of(0).ahead and shares.of(0).fewest == shares.of(1).fewest


async def test_where_no_file_can_be_opened_it_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(acceptor, "NO_ROOM", 0.01)
    failures = [OSError(errno.EMFILE, os.strerror(errno.EMFILE))] * 2
    accept = socket.socket.accept

    def full_at_first(sock: socket.socket) -> tuple[socket.socket, object]:
        if failures:
            raise failures.pop()
        return accept(sock)

    with socket_of_all() as sock:
        monkeypatch.setattr(socket.socket, "accept", full_at_first)
        one = Process(sock, Shares.make(1), 0)
        with caplog.at_level(logging.ERROR):
            async with accepting(one), connected(sock, 3):
                assert len(one) == 3
    assert [record.message for record in caplog.records] == ["no connection can be accepted"] * 2


async def test_what_was_accepted_at_the_end_becomes_a_connection() -> None:
    with socket_of_all() as sock, socket.create_connection(sock.getsockname()) as client:
        one = Process(sock, Shares.make(1), 0)
        one.acceptor.open()
        for _ in range(2):  # turns of the loop: it is accepted in the first
            await asyncio.sleep(0)
        assert len(one) == 0
        await one.acceptor.close()
        assert len(one) == 1 and client.recv(1) == b"!"


async def test_tls() -> None:
    authority = trustme.CA()
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(ours)
    theirs = ssl.create_default_context()
    authority.configure_trust(theirs)
    with socket_of_all() as sock:
        one = Process(sock, Shares.make(1), 0, ours)
        async with accepting(one):
            address = sock.getsockname()
            reader, writer = await asyncio.open_connection(*address, ssl=theirs, server_hostname="localhost")
            assert await reader.readexactly(1) == b"!"
            writer.close()
            await writer.wait_closed()


async def test_a_handshake_that_fails_is_the_clients_trouble(caplog: pytest.LogCaptureFixture) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with socket_of_all() as sock:
        one = Process(sock, Shares.make(1), 0, context)
        async with accepting(one):
            reader, writer = await asyncio.open_connection(*sock.getsockname())
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            with suppress(ConnectionError):
                await reader.read()
            writer.close()
    assert not caplog.records
