"""Tests of making connections: addresses, TLS, and the connect timeout."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from gateway.api.provider import Upstream
from gateway.upstream.client import Client
from gateway.upstream.collect import collect
from gateway.upstream.connection import Connection
from gateway.upstream.dialer import Dialer
from gateway.upstream.failure import FailureKind, UpstreamFailure
from gateway.upstream.parser import Parser
from gateway.upstream.pool import Pool
from gateway.upstream.resolver import Resolver
from gateway.upstream.target import Origin
from tests.upstream.conftest import Serve, running
from tests.upstream.peers import OK, Notes, Peer, answering


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return str(path)


@asynccontextmanager
async def tls_server(
    configure: Callable[[ssl.SSLContext], None], reply: bytes = OK
) -> AsyncIterator[Upstream]:
    """A server that gives ``reply`` over TLS, closing what has no length; yields a request to it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(reply)
                if reply is not OK:
                    writer.close()
        except (asyncio.IncompleteReadError, OSError):
            writer.transport.abort()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    configure(context)
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield Upstream("POST", f"https://localhost:{port}/v1/x", [], b"")


async def localhost(host: str) -> list[str]:
    return ["127.0.0.1"]


async def reached(client: Client, request: Upstream) -> bool:
    return (await collect(client, request, 5)).body == b"ok"


async def failing(client: Client, request: Upstream, timeout: float = 5) -> FailureKind:
    notes = Notes()
    with pytest.raises(UpstreamFailure) as caught:
        await client.send(request, notes, timeout)
    assert not caught.value.answered
    assert not any(part in str(caught.value) for part in ("127.0.0", "localhost", "upstream.test", "key"))
    assert notes.ends == 0
    return caught.value.kind


async def test_tls(ca: trustme.CA, ca_file: str) -> None:
    certificate = ca.issue_cert("localhost")
    async with (
        tls_server(certificate.configure_cert) as request,
        running(Client(ca_file=ca_file, look_up=localhost)) as client,
    ):
        for _ in range(3):
            assert await reached(client, request)
        handle = await client.send(request, Notes(), 5)
        assert handle.reused


async def test_tls_answer_ended_by_the_connection(ca: trustme.CA, ca_file: str) -> None:
    configure = ca.issue_cert("localhost").configure_cert
    for length, kind in (("X: y", None), ("Content-Length: 9", FailureKind.TRUNCATED)):
        async with (
            tls_server(configure, f"HTTP/1.1 200 OK\r\n{length}\r\n\r\nok".encode()) as request,
            running(Client(ca_file=ca_file, look_up=localhost)) as client,
        ):
            notes = Notes()
            await client.send(request, notes, 5)
            await notes.over.wait()
            assert notes.body == b"ok"
            assert (notes.failure and notes.failure.kind) is kind


async def test_tls_by_address(ca: trustme.CA, ca_file: str) -> None:
    certificate = ca.issue_cert("127.0.0.1")
    async with tls_server(certificate.configure_cert) as request, running(Client(ca_file=ca_file)) as client:
        request.url = request.url.replace("localhost", "127.0.0.1")
        assert await reached(client, request)


@pytest.mark.parametrize("fault", ["expired", "other host", "self-signed"])
async def test_tls_that_is_not_to_be_trusted(
    ca: trustme.CA, ca_file: str, tmp_path: Path, fault: str
) -> None:
    def configure(context: ssl.SSLContext) -> None:
        certificate = ca.issue_cert("elsewhere.test" if fault == "other host" else "localhost")
        if fault == "expired":
            past = datetime(2020, 1, 1, tzinfo=UTC)
            certificate = ca.issue_cert("localhost", not_before=past, not_after=past.replace(month=2))
        elif fault == "self-signed":
            other = trustme.CA()
            (tmp_path / "own.pem").write_bytes(other.private_key_pem.bytes() + other.cert_pem.bytes())
            context.load_cert_chain(tmp_path / "own.pem")
            return
        certificate.configure_cert(context)

    async with (
        tls_server(configure) as request,
        running(Client(ca_file=ca_file, look_up=localhost)) as client,
    ):
        assert await failing(client, request) is FailureKind.TLS


async def test_unknown_authority(ca: trustme.CA) -> None:
    certificate = ca.issue_cert("localhost")
    async with (
        tls_server(certificate.configure_cert) as request,
        running(Client(look_up=localhost)) as client,
    ):
        assert await failing(client, request) is FailureKind.TLS


@pytest.mark.parametrize(
    "greeting", [OK, b"\x15\x03\x01\x00\x02\x02\x46"], ids=["no TLS", "only old versions"]
)
async def test_server_that_speaks_no_tls_of_ours(client: Client, serve: Serve, greeting: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(greeting)
        await peer.gone()

    assert await failing(client, serve(script).request(scheme="https")) is FailureKind.TLS


async def test_no_second_address_after_failed_tls(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(OK)
        await peer.gone()

    async def look_up(host: str) -> list[str]:
        return ["127.0.0.1"] * 2

    server = serve(script)
    async with running(Client(look_up=look_up)) as client:
        assert await failing(client, server.request(scheme="https", host="upstream.test")) is FailureKind.TLS
    assert server.connections == 1


async def test_handshake_cut_short(client: Client, serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        peer.reset()

    assert await failing(client, serve(script).request(scheme="https")) is FailureKind.CONNECT


def test_bad_ca_file(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing of the kind")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(OSError):
            Client(ca_file=str(tmp_path / name))


async def test_refused(client: Client) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        request = Upstream("POST", f"http://127.0.0.1:{bound.getsockname()[1]}/", [], b"")
        assert await failing(client, request) is FailureKind.CONNECT


async def test_every_address_is_tried(serve: Serve) -> None:
    async def look_up(host: str) -> list[str]:
        return ["127.0.0.2", "127.0.0.3", "127.0.0.1"]

    async with running(Client(look_up=look_up)) as client:
        assert await reached(client, serve(answering(OK)).request(host="upstream.test"))


async def test_no_address() -> None:
    async def look_up(host: str) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "upstream.test")

    async with running(Client(look_up=look_up)) as client:
        request = Upstream("POST", "http://upstream.test/", [], b"")
        assert await failing(client, request) is FailureKind.DNS


async def test_look_up_that_hangs() -> None:
    async def look_up(host: str) -> list[str]:
        await asyncio.Event().wait()
        return []

    async with running(Client(look_up=look_up)) as client:
        request = Upstream("POST", "http://upstream.test/", [], b"")
        assert await failing(client, request, 0.02) is FailureKind.TIMEOUT


async def test_handshake_that_hangs(client: Client, serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.gone()

    server = serve(script)
    assert await failing(client, server.request(scheme="https"), 0.05) is FailureKind.TIMEOUT
    await server.finish()


async def test_a_dead_address_leaves_time_for_the_next(ca: trustme.CA, ca_file: str) -> None:
    async def look_up(host: str) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    with socket.create_server(("127.0.0.2", 0)) as silent:
        port = silent.getsockname()[1]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("localhost").configure_cert(context)
        server = await asyncio.get_running_loop().create_server(
            asyncio.Protocol, "127.0.0.1", port, ssl=context
        )
        async with server, running(Client(ca_file=ca_file, look_up=look_up)) as client:
            handle = await client.send(Upstream("POST", f"https://localhost:{port}/", [], b""), Notes(), 1)
            handle.abort()


async def test_closed_as_soon_as_made(serve: Serve) -> None:
    class Closing(Connection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.transport.abort()

    origin, pool = Origin("http", "127.0.0.1", serve(answering()).port), Pool(1, 1)
    with pytest.raises(UpstreamFailure) as caught:
        await Dialer(Resolver(), None).open(
            origin, 5, lambda: Closing(origin, pool, Parser(1), lambda exchange, origin: None)
        )
    assert caught.value.kind is FailureKind.CONNECT
    await pool.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_given_up_as_soon_as_made(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, ca: trustme.CA, ca_file: str, scheme: str
) -> None:
    """Connected, but whoever waited for it is told before that to wait no longer: nobody closes it then but
    the event loop, and uvloop's says so to nobody."""
    made = Connection.connection_made

    def leaving(connection: Connection, transport: asyncio.BaseTransport) -> None:
        made(connection, transport)
        asking.cancel()

    monkeypatch.setattr(Connection, "connection_made", leaving)
    client = Client(ca_file=ca_file, look_up=localhost)
    async with tls_server(ca.issue_cert("localhost").configure_cert) as request:
        if scheme == "http":
            request = serve(answering(OK)).request()
        asking = asyncio.create_task(client.send(request, Notes(), 5))
        with pytest.raises(asyncio.CancelledError):
            await asking
        async with asyncio.timeout(2):
            await client.close()


async def test_socket_options(client: Client, serve: Serve) -> None:
    handle = await client.send(serve(answering()).request(), Notes(), 5)
    assert handle.connection is not None
    sock = handle.connection.transport.get_extra_info("socket")
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    handle.abort()
