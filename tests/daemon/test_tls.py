"""TLS: serving, the oldest version allowed, certificates that are renewed, and those that cannot be used."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from gateway.config.problems import ConfigError
from gateway.config.schema import Server, Tls
from tests.daemon.command import coo_llm
from tests.daemon.listening import listening
from tests.daemon.running import HELLO, KEY, configured
from tests.fakes.daemon import Daemon


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def put(path: str, content: bytes) -> None:
    Path(path).write_bytes(content)


def write(certificate: trustme.LeafCert, tls: Tls) -> None:
    put(tls.cert_file, b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    put(tls.key_file, certificate.private_key_pem.bytes())


@pytest.fixture
def tls(tmp_path: Path, authority: trustme.CA) -> Tls:
    tls = Tls(cert_file=str(tmp_path / "cert.pem"), key_file=str(tmp_path / "key.pem"))
    write(authority.issue_cert("127.0.0.1"), tls)
    return tls


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@asynccontextmanager
async def serving(tls: Tls) -> AsyncIterator[str]:
    """The address of an application behind ``tls``."""
    async with listening(Server(listen="127.0.0.1:0", tls=tls)) as listeners:
        yield listeners.addresses[0]


async def certificate(address: str, context: ssl.SSLContext) -> dict[str, Any]:
    """The certificate that a new connection is shown."""
    host, _, port = address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context)
    shown: dict[str, Any] = writer.get_extra_info("peercert")
    writer.close()
    return shown


async def test_a_chat_over_tls(tmp_path: Path, tls: Tls, authority: trustme.CA) -> None:
    config = configured(
        {"id": "up", "type": "echo", "model": "m"},
        server={"tls": tls.model_dump(include={"cert_file", "key_file"})},
    )
    daemon = Daemon(config, tmp_path)
    daemon.ready = lambda: _ready(daemon)  # type: ignore[method-assign]
    async with daemon:
        connector = aiohttp.TCPConnector(ssl=trusting(authority))
        async with aiohttp.ClientSession(connector=connector) as session:
            url = f"https://127.0.0.1:{daemon.port}/v1/chat/completions"
            headers = {"authorization": f"Bearer {KEY}"}
            async with session.post(url, json={"model": "m", "messages": HELLO}, headers=headers) as response:
                assert response.status == 200


async def _ready(daemon: Daemon) -> bool:
    return '"listening"' in daemon.stderr


async def test_a_unix_socket_needs_no_tls(tmp_path: Path, tls: Tls) -> None:
    path = str(tmp_path / "gateway.sock")
    async with (
        listening(Server(listen=f"unix:{path}", tls=tls)),
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as session,
        session.get("http://localhost/") as response,
    ):
        assert response.status == 200


@pytest.mark.parametrize("oldest", ["1.2", "1.3"])
async def test_the_oldest_version(tls: Tls, authority: trustme.CA, oldest: str) -> None:
    context = trusting(authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serving(tls.model_copy(update={"min_version": oldest})) as address:
        if oldest == "1.2":
            assert await certificate(address, context)
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await certificate(address, context)


async def test_a_renewed_certificate_is_used_for_new_connections(tls: Tls, authority: trustme.CA) -> None:
    context = trusting(authority)
    async with serving(tls) as address:
        first = await certificate(address, context)
        put(tls.cert_file, b"-----BEGIN CERTIFICATE-----\nhalf")
        await asyncio.sleep(0.03)
        assert await certificate(address, context) == first
        renewed = authority.issue_cert("127.0.0.1")
        write(renewed, tls)
        second = first
        for _ in range(1000):
            second = await certificate(address, context)
            if second != first:
                break
            await asyncio.sleep(0.005)
        assert second["serialNumber"] != first["serialNumber"]


async def test_a_key_that_does_not_fit_keeps_the_old_pair(tls: Tls, authority: trustme.CA) -> None:
    context = trusting(authority)
    async with serving(tls) as address:
        first = await certificate(address, context)
        put(tls.cert_file, authority.issue_cert("127.0.0.1").cert_chain_pems[0].bytes())
        await asyncio.sleep(0.03)
        assert await certificate(address, context) == first


@pytest.mark.parametrize(
    ("cert", "key", "message"),
    [
        (b"", None, "cannot use .* with .*"),
        (b"nonsense", None, "cannot use .* with .*"),
        (None, b"", "cannot use .* with .*"),
        (None, trustme.CA().issue_cert("x").private_key_pem.bytes(), "key values mismatch"),
    ],
)
async def test_what_cannot_be_used_stops_the_start(
    tls: Tls, cert: bytes | None, key: bytes | None, message: str
) -> None:
    for path, content in ((tls.cert_file, cert), (tls.key_file, key)):
        if content is not None:
            put(path, content)
    with pytest.raises(ConfigError, match=rf"^server\.tls: .*{message}"):
        async with serving(tls):
            pass


async def test_an_encrypted_key_is_refused_without_asking(tls: Tls, authority: trustme.CA) -> None:
    certificate = authority.issue_cert("127.0.0.1")
    write(certificate, tls)
    plain = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), None)
    locked = plain.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    put(tls.key_file, locked)
    with pytest.raises(ConfigError, match=r"^server\.tls: cannot use"):
        async with serving(tls):
            pass


async def test_the_exit_code(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "server: {listen: '127.0.0.1:0', tls: {cert_file: missing.pem, key_file: missing.key}}\n"
        "llm_providers: [{type: echo}]\n"
    )
    done = await coo_llm("-c", "c.yaml", folder=tmp_path)
    assert (done.code, done.err) == (1, "server.tls: cannot read missing.pem\n")
