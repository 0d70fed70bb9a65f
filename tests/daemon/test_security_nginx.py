"""Behind nginx: what one of the two reads as one request, the other must not read as two."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from pytest import TempPathFactory

from tests.daemon.beside import beside
from tests.daemon.raw import Answer, Gone, chunked, connected, exchange, message
from tests.daemon.stand import BEARER, CHAT, Stand, chat, stand
from tests.fakes.ports import free_port

__all__ = ["stand"]
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
]
CONFIG = """
{user}
worker_processes 1;
error_log {folder}/error.log;
pid {folder}/nginx.pid;
daemon off;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream gateway {{ server 127.0.0.1:{to}; keepalive 1; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://gateway;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering off;
            proxy_ignore_client_abort on;
        }}
    }}
}}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nginx(stand: Stand, tmp_path_factory: TempPathFactory) -> AsyncIterator[int]:
    """The port of an nginx that keeps one connection to the stand's gateway for everybody's requests."""
    assert NGINX is not None
    folder: Path = tmp_path_factory.mktemp("nginx")
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    path = folder / "nginx.conf"
    path.write_text(CONFIG.format(user=user, folder=folder, to=stand.port, port=port))
    command = (NGINX, "-p", str(folder), "-c", str(path), "-e", str(folder / "error.log"))
    async with beside(command, partial(serves, port)):
        yield port


async def serves(port: int) -> bool:
    try:
        return (await exchange(port, message("GET /health"))).status == 200
    except OSError:
        return False


MARKER = message("GET /v1/models/smuggled", BEARER)
"""Nobody asks for this: it only ever stands where a body is."""
CL, TE = "Content-Length", "Transfer-Encoding"
HALF = str(len(MARKER) // 2)


def post(*headers: tuple[str, str | bytes], body: bytes) -> bytes:
    return message(CHAT, [*BEARER, *headers]) + body


def codings() -> dict[str, bytes]:
    """``Transfer-Encoding: chunked`` with a byte put in somewhere, before a body that hides the marker."""
    made = {}
    for byte in (
        b" ",
        b"\t",
        b"\x0b",
        b"\x0c",
        b"\r",
        b"\n",
        b"\x00",
        b"\xff",
        b"\xa0",
        b",",
        b";",
        b'"',
        b"\x7f",
    ):
        for name, line in {
            "before the name": byte + b"Transfer-Encoding: chunked",
            "after the name": b"Transfer-Encoding" + byte + b": chunked",
            "before the value": b"Transfer-Encoding:" + byte + b"chunked",
            "in the value": b"Transfer-Encoding: chu" + byte + b"nked",
            "after the value": b"Transfer-Encoding: chunked" + byte,
        }.items():
            start = message(CHAT, [*BEARER, (CL, str(len(MARKER) + 5))])[:-2]
            made[f"{byte!r} {name}"] = start + line + b"\r\n\r\n0\r\n\r\n" + MARKER
    return made


ATTACKS = {
    "length and chunked": post((CL, HALF), (TE, "chunked"), body=b"0\r\n\r\n" + MARKER),
    "chunked and length": post((TE, "chunked"), (CL, str(5 + len(MARKER))), body=b"0\r\n\r\n" + MARKER),
    "two lengths": post((CL, "0"), (CL, str(len(MARKER))), body=MARKER),
    "length list": post((CL, f"0, {len(MARKER)}"), body=MARKER),
    "chunked twice": post((TE, "chunked"), (TE, "identity"), body=b"0\r\n\r\n" + MARKER),
    "identity": post((TE, "identity"), (CL, str(len(MARKER))), body=MARKER),
    "bare LF in a chunk line": post((TE, "chunked"), body=b"2;\nxx\r\n" + chunked(MARKER)),
    "chunk extension": post((TE, "chunked"), body=b'2;a="\r\n"\r\nab\r\n0\r\n\r\n'),
    "trailers": post((TE, "chunked"), body=b"0\r\nContent-Length: 9\r\n\r\n"),
    "whole body": post((CL, str(len(MARKER))), body=MARKER),
    "chunked body": post((TE, "chunked"), body=chunked(MARKER)),
    "expectation": post(("Expect", "100-continue"), (CL, str(len(MARKER))), body=MARKER),
    "unknown path with a body": message("POST /v1/none", [(CL, str(len(MARKER)))]) + MARKER,
    "no key with a body": message(CHAT, [(CL, str(len(MARKER)))]) + MARKER,
    "GET with a body": message("GET /v1/models", [*BEARER, (CL, str(len(MARKER)))]) + MARKER,
    "upgrade": message("GET /v1/models", [*BEARER, ("Upgrade", "h2c"), (CL, str(len(MARKER)))]) + MARKER,
    **codings(),
}


async def answers(where: int, data: bytes) -> list[Answer]:
    """All answers to ``data`` and to a clean request after it."""
    found: list[Answer] = []
    async with connected(where) as peer:
        await peer.send(data)
        peer.writer.write_eof()
        try:
            while True:
                found.append(await peer.answer())
        except Gone:
            return found


async def test_a_request_hidden_in_a_body_is_never_answered(stand: Stand, nginx: int) -> None:
    """Directly and through nginx; and the next one to use nginx's connection gets his own answer."""
    for name, attack in ATTACKS.items():
        for where in (stand.port, nginx):
            for got in await answers(where, attack):
                assert b"smuggled" not in got.body, f"{name}: {got}"
                assert got.status < 500 or got.status in (501, 502), f"{name}: {got}"
            clean = await exchange(where, chat())
            assert clean.status == 200 and clean.json()["object"] == "chat.completion", name


async def test_the_hidden_request_would_be_noticed(stand: Stand, nginx: int) -> None:
    for where in (stand.port, nginx):
        (got,) = await answers(where, MARKER)
        assert b"smuggled" in got.body
