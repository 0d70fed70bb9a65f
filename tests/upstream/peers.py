"""A server made of raw sockets, scripted connection by connection, and a receiver that takes notes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping

from gateway.api.provider import Upstream
from gateway.upstream.client import Client
from gateway.upstream.exchange import Exchange
from gateway.upstream.failure import FailureKind, UpstreamFailure

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Peer:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.number = number
        """0 for the server's first connection."""
        self._sock = sock
        self._buffer = b""

    async def request(self) -> tuple[bytes, bytes]:
        """Head and body of the next request; both empty if the client has closed the connection."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if not await self._more():
                return b"", b""
        head, rest = self._buffer[: end + 4], self._buffer[end + 4 :]
        _, _, tail = head.partition(b"Content-Length: ")
        size = int(tail.split(b"\r\n")[0] or b"0")
        self._buffer = b""
        body = bytearray(rest)
        while len(body) < size and await self._more():
            body += self._buffer
            self._buffer = b""
        return head, bytes(body)

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._sock, data)

    async def gone(self) -> None:
        """Wait until the client has closed the connection, whatever it still sends."""
        while await self._more():
            self._buffer = b""

    def close(self) -> None:
        self._sock.close()

    def close_sending(self) -> None:
        self._sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    async def _more(self) -> bool:
        try:
            data = await asyncio.get_running_loop().sock_recv(self._sock, 1 << 20)
        except ConnectionResetError:
            data = b""
        self._buffer += data
        return data != b""


Script = Callable[[Peer], Awaitable[None]]


class Server:
    """Listens on 127.0.0.1; runs the script for each connection and closes it after that."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._accepting = asyncio.create_task(self._accept())
        self._running: list[asyncio.Task[None]] = []

    def request(
        self, body: bytes = b"{}", *, method: str = "POST", scheme: str = "http", host: str = "127.0.0.1"
    ) -> Upstream:
        url = f"{scheme}://{host}:{self.port}/v1/x"
        return Upstream(method, url, [("Authorization", "Bearer key")], body)

    async def finish(self) -> None:
        """Wait for the scripts; raise what they raised."""
        await asyncio.gather(*self._running)

    async def close(self) -> None:
        for task in (self._accepting, *self._running):
            task.cancel()
        await asyncio.gather(self._accepting, *self._running, return_exceptions=True)
        self._listener.close()

    async def _accept(self) -> None:
        while True:
            sock, _ = await asyncio.get_running_loop().sock_accept(self._listener)
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._running.append(asyncio.create_task(self._run(Peer(sock, self.connections))))
            self.connections += 1

    async def _run(self, peer: Peer) -> None:
        with contextlib.closing(peer):
            await self._script(peer)


def answering(*answers: bytes) -> Script:
    """Give these answers on every connection, one for each request, then wait for the client to leave."""

    async def script(peer: Peer) -> None:
        for answer in answers:
            if await peer.request() == (b"", b""):
                return
            await peer.send(answer)
        await peer.gone()

    return script


class Notes:
    """A receiver that writes down what it hears."""

    def __init__(self) -> None:
        self.heads = 0
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.data: list[bytes] = []
        self.failure: UpstreamFailure | None = None
        self.ends = 0
        self.over = asyncio.Event()
        self.heard = asyncio.Event()

    @property
    def body(self) -> bytes:
        return b"".join(self.data)

    def on_head(self, status: int, headers: Mapping[str, str]) -> None:
        self.heads += 1
        self.status, self.headers = status, headers

    def on_data(self, data: bytes) -> None:
        self.data.append(data)
        self.heard.set()

    def on_end(self) -> None:
        self.ends += 1
        self.over.set()

    def on_fail(self, failure: UpstreamFailure) -> None:
        self.failure = failure
        self.ends += 1
        self.over.set()


async def exchange(client: Client, server: Server, body: bytes = b"{}") -> tuple[Notes, Exchange]:
    """One whole exchange."""
    notes = Notes()
    handle = await client.send(server.request(body), notes, 5)
    await notes.over.wait()
    return notes, handle


def failure(notes: Notes) -> tuple[FailureKind, bool]:
    """What went wrong, and whether any byte of an answer had come."""
    assert notes.failure is not None
    return notes.failure.kind, notes.failure.answered
