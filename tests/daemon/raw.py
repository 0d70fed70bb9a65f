"""A client that says exactly what a test wants said: raw bytes out, parsed answers in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

PATIENCE = 15.0
"""Seconds until a test that waits in vain fails."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One final response; names of headers in lower case, repeated ones joined."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        return self.json()["error"]


class Gone(Exception):
    """The server closed the connection before an answer was complete."""


class Peer:
    """One connection to a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self.interim: list[int] = []
        """Statuses of the 1xx responses that came before answers."""

    async def send(self, data: bytes) -> None:
        """Send ``data``; a server that closes while it is sent is no error here."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError:
            pass

    async def answer(self, *, to: str = "GET") -> Answer:
        """The next final response. Raises `Gone` if there is none, `ValueError` if it is not HTTP."""
        async with asyncio.timeout(PATIENCE):
            while True:
                status, headers = await self._head()
                if status >= 200:
                    bodiless = to == "HEAD" or status in (204, 304)
                    return Answer(status, headers, b"" if bodiless else await self._body(headers))
                self.interim.append(status)

    async def closed(self) -> bytes:
        """Wait until the server has closed the connection; what it sent until then."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self._reader.read()
            except ConnectionError:
                return b""

    async def _head(self) -> tuple[int, dict[str, str]]:
        try:
            lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Gone from error
        version, status, *_ = lines[0].split(" ")
        if version != "HTTP/1.1" or len(status) != 3:
            raise ValueError(f"not a status line: {lines[0]!r}")
        headers: dict[str, str] = {}
        for line in lines[1:-2]:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise ValueError(f"not a header: {line!r}")
            name = name.lower()
            headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
        return int(status), headers

    async def _body(self, headers: Mapping[str, str]) -> bytes:
        try:
            if headers.get("transfer-encoding") == "chunked":
                return await self._chunks()
            if "content-length" in headers:
                return await self._reader.readexactly(int(headers["content-length"]))
            return await self._reader.read()
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Gone from error

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readexactly(2)
        return body


@asynccontextmanager
async def connected(where: int | str) -> AsyncIterator[Peer]:
    """A fresh connection to a port of this machine, or to a Unix socket."""
    if isinstance(where, str):
        reader, writer = await asyncio.open_unix_connection(where, limit=2**24)
    else:
        reader, writer = await asyncio.open_connection("127.0.0.1", where, limit=2**24)
    try:
        yield Peer(reader, writer)
    finally:
        writer.close()


async def exchange(where: int | str, data: bytes, *, to: str = "GET") -> Answer:
    """Send ``data`` on a fresh connection; its first answer."""
    async with connected(where) as peer:
        await peer.send(data)
        return await peer.answer(to=to)


Fields = Sequence[tuple[str, str | bytes]]


def message(line: str | bytes, headers: Fields = (), body: bytes = b"", *, host: str = "localhost") -> bytes:
    """A request: ``line`` without its version gets HTTP/1.1. There is a Content-Length if there is a body
    and no header says how long it is."""
    start = line if isinstance(line, bytes) else line.encode("latin-1")
    if b" HTTP/" not in start:
        start += b" HTTP/1.1"
    fields: list[tuple[str, str | bytes]] = [("Host", host), *headers]
    names = {name.lower() for name, _ in fields}
    if body and names.isdisjoint({"content-length", "transfer-encoding"}):
        fields.append(("Content-Length", str(len(body))))
    lines = [start]
    for name, value in fields:
        lines.append(name.encode() + b": " + (value if isinstance(value, bytes) else value.encode("latin-1")))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(*pieces: bytes) -> bytes:
    """A body in chunked transfer coding."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
