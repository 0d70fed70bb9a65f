"""Upstreams that answer an upload as soon as they have its head, and close: most that find it too large, or
its key wrong. What comes after their answer resets the connection."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from gateway.upstream.client import Client
from gateway.upstream.connection import PIECES
from tests.upstream.conftest import running
from tests.upstream.test_form import Form, send_to

REFUSED = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 9\r\n\r\ntoo large"
TIMES = 20


class Refusing:
    """A server in a thread of its own: it answers whether the client's event loop turns or not."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.may = threading.Event()
        """Refuse them."""
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def refuse(self) -> None:
        """Refuse the request whose head has come, and return when the connection is closed."""
        self.may.set()
        assert self._done.wait(5)

    def close(self) -> None:
        self.may.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._serve(self._listener.accept()[0])

    def _serve(self, sock: socket.socket) -> None:
        self.connections += 1
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a reset may overtake the answer
        with self._tls.wrap_socket(sock, server_side=True) if self._tls else sock as peer:
            head = b""
            while b"\r\n\r\n" not in head:
                head += peer.recv(1)
            self.may.wait()
            peer.sendall(REFUSED)
        self._done.set()


class Watched(Form):
    """Calls ``back`` when it is partly sent."""

    def __init__(self, back: Callable[[], object]) -> None:
        super().__init__(10 * PIECES)
        self._back = back

    def pieces(self) -> Iterator[bytes]:
        for number, piece in enumerate(super().pieces()):
            if number == 2 * PIECES + 1:
                self._back()
            yield piece


async def refused(client: Client, url: str, form: Form) -> None:
    notes = await send_to(client, url, form)
    await notes.over.wait()
    assert (notes.status, notes.body, notes.failure) == (413, b"too large", None)


async def test_the_answer_is_heard_and_nothing_sent_twice(client: Client) -> None:
    with contextlib.closing(Refusing()) as server:
        server.may.set()
        for _ in range(TIMES):
            await refused(client, f"http://127.0.0.1:{server.port}/", Form(100))
        assert server.connections == TIMES


async def test_an_answer_that_comes_as_we_write_is_found_in_the_socket(client: Client) -> None:
    with contextlib.closing(Refusing()) as server:
        await refused(client, f"http://127.0.0.1:{server.port}/", Watched(server.refuse))


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_an_answer_that_has_come_is_heard_before_more_is_written(scheme: str, tmp_path: Path) -> None:
    tls, trusted = None, None
    if scheme == "https":
        ca = trustme.CA()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("localhost").configure_cert(tls)
        ca.cert_pem.write_to_path(trusted := str(tmp_path / "ca.pem"))
    loop = asyncio.get_running_loop()
    with contextlib.closing(Refusing(tls)) as server:
        async with running(Client(ca_file=trusted)) as client:
            form = Watched(lambda: loop.call_soon(server.refuse))
            await refused(client, f"{scheme}://localhost:{server.port}/", form)
            assert form.taken <= 4 * PIECES
