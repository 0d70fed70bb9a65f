"""What the fault tests share: providers in front of bad servers, and clients that behave badly."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self, cast

import orjson

from gateway.api import Filter, Record
from tests.daemon.running import HELLO, KEY, LONG, Gateway

QUICK = {"retry": {"interval": "1ms"}}
"""A policy that does not wait long before the same key is tried again."""
PRICES = {"input_token_cost": 0.001, "output_token_cost": 0.002}


def upstream(
    url: str,
    id_: str = "up",
    keys: Sequence[str] = ("a",),
    timeout: Mapping[str, str] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """A provider of the model ``m`` at ``url``. A key's secret is its id behind ``secret-``."""
    return {
        "id": id_,
        "type": "openai",
        "base_url": url,
        "model": "m",
        "api_keys": [{"id": key, "key": f"secret-{key}"} for key in keys],
        "pricing": dict(PRICES),
        "timeout": dict(timeout or {}),
        **settings,
    }


def tries(record: Record) -> list[tuple[str, int, str]]:
    """Provider, status and outcome of each attempt of a request."""
    return [(attempt.provider, attempt.status, attempt.outcome) for attempt in record.attempts]


def outcomes(record: Record) -> list[str]:
    """The outcome of each attempt of a request."""
    return [attempt.outcome for attempt in record.attempts]


async def reported(gateway: Gateway) -> Record:
    """The one record of the one request so far."""
    records = await gateway.records(1)
    assert len(await gateway.live.store.requests(Filter(), 2)) == 1
    return records[0]


def check_error(answer: Any, code: str) -> dict[str, Any]:
    """Assert that ``answer`` is an error in OpenAI's shape that gives nothing away; return what is in it."""
    assert isinstance(answer, dict)
    error: dict[str, Any] = answer["error"]
    assert {"message", "type", "param", "code"} <= error.keys()
    assert error["code"] == code
    text = str(answer)
    assert "secret-" not in text and "127.0.0.1" not in text and "Traceback" not in text
    return error


async def until(condition: Callable[[], object]) -> None:
    """Wait until ``condition`` is true of something that tells nobody when it changes."""
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.01)


async def at_rest(gateway: Gateway) -> None:
    """Wait until nothing of any request is left; the clients' and keys' parallel slots included."""
    await until(lambda: not gateway.live.in_flight and not any(meter_in_flight(gateway)))


def meter_in_flight(gateway: Gateway) -> list[int]:
    """How many requests each meter holds at the moment: keys and clients."""
    keys = [state.meter.in_flight for state in gateway.live.memory.keys.values()]
    client = gateway.live.current.clients.find(KEY, 0.0)
    assert client is not None
    return [*keys, client.meter.in_flight]


class RawClient:
    """A client connection of which every byte is the test's own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, gateway: Gateway, *, receive_buffer: int | None = None) -> Self:
        """``receive_buffer``: bytes that the kernel keeps for this client."""
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", gateway.port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=16 * 1024)
        return cls(reader, writer)

    def chat(self, *, finish: bool = True, **body: Any) -> None:
        """Send a chat; with ``finish=False`` all but the last byte of it."""
        request = chat_request(**body)
        self.writer.write(request if finish else request[:-1])

    async def head(self) -> tuple[int, Mapping[str, str]]:
        """The next final response head: status and headers."""
        while True:
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            status = int(lines[0].split()[1])
            if status != 100:
                fields = (line.split(": ", 1) for line in lines[1:] if line)
                return status, {name.lower(): value for name, value in fields}

    async def answer(self) -> tuple[int, Any]:
        """The next response whole: status and JSON body."""
        status, headers = await self.head()
        return status, orjson.loads(await self.reader.readexactly(int(headers["content-length"])))

    def half_close(self) -> None:
        """Say that nothing more will be sent; go on reading."""
        self.writer.write_eof()

    def leave(self, *, reset: bool = False) -> None:
        """Close the connection, in good order or by a reset."""
        if reset:
            linger = struct.pack("ii", 1, 0)
            sock = cast(socket.socket, self.writer.get_extra_info("socket"))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()


@asynccontextmanager
async def raw_client(gateway: Gateway, *, receive_buffer: int | None = None) -> AsyncIterator[RawClient]:
    """A `RawClient`, gone at the end of the block at the latest."""
    client = await RawClient.connect(gateway, receive_buffer=receive_buffer)
    try:
        yield client
    finally:
        client.leave()


def chat_request(**body: Any) -> bytes:
    """A chat as the bytes of an HTTP request."""
    payload = orjson.dumps({"model": "m", "messages": HELLO, **body})
    lines = [
        "POST /v1/chat/completions HTTP/1.1",
        "Host: gateway",
        f"Authorization: Bearer {KEY}",
        "Content-Type: application/json",
        f"Content-Length: {len(payload)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + payload
