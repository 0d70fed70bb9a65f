"""A load generator of raw protocols on uvloop: ``python -m tests.bench.load`` reads a `Spec` as JSON from
stdin and prints a `Result`. It samples the measured process itself, so that both see the same window."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, cast

import httptools
import orjson
import uvloop

from tests.bench.config import client_key
from tests.bench.measure import Void, cpu_seconds, rss_bytes
from tests.bench.work import MARK

_DATA = b"data: "
_RAMP = 50
"""Connections opened at a time."""
_SETTLE = 1.0
"""Seconds between the last stream's first event and the window, and before idle memory is read."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What to do to whom."""

    kind: str
    """``rate``: `rate` requests a second, come what may · ``paced``: `count` endless streams ·
    ``loop``: `count` connections, one stream after the other · ``idle``: `count` silent streams."""
    port: int
    pid: int
    path: str
    body: str
    clients: int
    count: int = 0
    rate: int = 0
    seconds: float = 3.0
    streams: bool = False
    data_lines: int = 0
    """``data:`` lines that a stream has when it ends; 0 for one that does not."""

    def at(self, **changes: Any) -> Spec:
        """The same with other figures."""
        return replace(self, **changes)


@dataclass(slots=True)
class Result:
    """What was seen in the window. Times in milliseconds, to the whole answer or a stream's first event."""

    requests: int = 0
    events: int = 0
    cpu: float = 0.0
    rss: int = 0
    """Growth of resident memory, bytes."""
    latencies: list[float] = field(default_factory=list)


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request at a time."""

    def __init__(self, spec: Spec, done: Callable[[Connection], None]) -> None:
        self.transport: asyncio.Transport
        self.first = 0.0
        """When the first event (streams) or the whole answer was there."""
        self.sent = 0.0
        self.lines = 0
        self.fault: str | None = None
        self.opened = asyncio.get_running_loop().create_future()
        self._spec = spec
        self._done = done
        self._parser: Any = httptools.HttpResponseParser(self)
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by class

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the connection was closed")

    def send(self, head: bytes, body: bytes) -> None:
        self.lines, self.first, self._tail = 0, 0.0, b""
        self.sent = time.perf_counter()
        self.transport.writelines((head, body))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_headers_complete(self) -> None:
        if (status := self._parser.get_status_code()) != 200:
            self._fail(f"an answer with status {status}")

    def on_body(self, body: bytes) -> None:
        whole = self._tail + body
        if not self._spec.streams:
            self._tail = whole
            return
        self.lines += whole.count(_DATA)
        self._tail = whole[-len(_DATA) + 1 :]
        if self.lines and not self.first:
            self.first = time.perf_counter()
            if not self.opened.done():
                self.opened.set_result(None)

    def on_message_complete(self) -> None:
        if not self._spec.streams:
            self.first = time.perf_counter()
            if MARK not in self._tail:
                self._fail(f"a wrong body: {self._tail[:200]!r}")
        elif self.lines != self._spec.data_lines:
            self._fail(f"a stream of {self.lines} data lines, not {self._spec.data_lines}")
        self._done(self)

    def _fail(self, why: str) -> None:
        self.fault = self.fault or why
        if not self.opened.done():
            self.opened.set_result(None)


class Load:
    """The connections of one run."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.body = spec.body.encode()
        self.connections: list[Connection] = []
        self._next = 0
        self._heads = [self._head(number) for number in range(spec.clients)]

    def _head(self, client: int) -> bytes:
        lines = (
            f"POST {self.spec.path} HTTP/1.1",
            f"Host: 127.0.0.1:{self.spec.port}",
            f"Authorization: Bearer {client_key(client)}",
            "Content-Type: application/json",
            f"Content-Length: {len(self.body)}",
        )
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def connect(self, count: int, done: Callable[[Connection], None]) -> None:
        """Open ``count`` connections more, a few at a time."""
        loop = asyncio.get_running_loop()
        for start in range(0, count, _RAMP):
            made = await asyncio.gather(
                *(
                    loop.create_connection(lambda: Connection(self.spec, done), "127.0.0.1", self.spec.port)
                    for _ in range(min(_RAMP, count - start))
                )
            )
            self.connections += [connection for _, connection in made]

    def send(self, connection: Connection) -> None:
        """Send the next client's request."""
        self._next = (self._next + 1) % len(self._heads)
        connection.send(self._heads[self._next], self.body)

    def check(self) -> None:
        """Raise `Void` if anything went wrong on any connection."""
        for connection in self.connections:
            if connection.fault:
                raise Void(connection.fault)

    def close(self) -> None:
        for connection in self.connections:
            connection.transport.abort()


async def rate(load: Load) -> Result:
    """Send at a fixed rate for a while, however slowly answers come. The first half second warms up."""
    spec, result, free = load.spec, Result(), list[Connection]()

    def done(connection: Connection) -> None:
        result.latencies.append((connection.first - connection.sent) * 1000)
        free.append(connection)

    await load.connect(spec.rate // 4, done)
    free += load.connections
    total, warm = int(spec.rate * (spec.seconds + 0.5)), spec.rate // 2
    start, cpu = time.perf_counter(), 0.0
    for number in range(total):
        if (ahead := start + number / spec.rate - time.perf_counter()) > 0:
            await asyncio.sleep(ahead)
        if number == warm:
            cpu = cpu_seconds(spec.pid)
            result.latencies.clear()
        if not free:
            load.check()
            raise Void(f"{len(load.connections)} requests wait at {spec.rate}/s")
        load.send(free.pop())
    for _ in range(100):
        if len(free) == len(load.connections):
            break
        await asyncio.sleep(0.05)
    result.requests, result.cpu = total - warm, cpu_seconds(spec.pid) - cpu
    if len(free) < len(load.connections):
        raise Void(f"{len(load.connections) - len(free)} requests were never answered")
    return result


async def open_streams(load: Load) -> None:
    """Open all streams and wait for the first event of each."""
    await load.connect(load.spec.count, lambda connection: None)
    for start in range(0, len(load.connections), _RAMP):
        batch = load.connections[start : start + _RAMP]
        for connection in batch:
            load.send(connection)
        async with asyncio.timeout(30):
            await asyncio.gather(*(connection.opened for connection in batch))
    load.check()
    await asyncio.sleep(_SETTLE)


async def paced(load: Load) -> Result:
    """Read endless streams for a while."""
    await open_streams(load)
    cpu, before = cpu_seconds(load.spec.pid), sum(c.lines for c in load.connections)
    await asyncio.sleep(load.spec.seconds)
    result = Result(len(load.connections), sum(c.lines for c in load.connections) - before)
    result.cpu = cpu_seconds(load.spec.pid) - cpu
    return result


async def idle(load: Load) -> Result:
    """Hold silent streams open and see what they weigh."""
    before = rss_bytes(load.spec.pid)
    await open_streams(load)
    return Result(len(load.connections), rss=rss_bytes(load.spec.pid) - before)


async def loop(load: Load) -> Result:
    """Ask for one whole stream after the other on every connection."""
    result, running = Result(), True

    def done(connection: Connection) -> None:
        result.requests += 1
        result.events += connection.lines
        if running and not connection.fault:
            load.send(connection)

    await load.connect(load.spec.count, done)
    cpu = cpu_seconds(load.spec.pid)
    for connection in load.connections:
        load.send(connection)
    await asyncio.sleep(load.spec.seconds)
    running = False
    result.cpu = cpu_seconds(load.spec.pid) - cpu
    return result


async def run(spec: Spec) -> Result:
    """Do what ``spec`` says. Raises `Void` if anything was not as it should be."""
    load = Load(spec)
    try:
        result = await {"rate": rate, "paced": paced, "idle": idle, "loop": loop}[spec.kind](load)
        load.check()
    finally:
        load.close()
    return result


def main() -> None:
    """Print the result, or the reason why there is none."""
    spec = Spec(**orjson.loads(sys.stdin.read()))
    try:
        result = asdict(uvloop.run(run(spec)))
    except Void as why:
        result = {"void": str(why)}
    # Not by `print`: with PYTHONUNBUFFERED it may write only a part of what is long.
    with open(sys.stdout.fileno(), "wb", closefd=False) as output:
        output.write(orjson.dumps(result))


if __name__ == "__main__":
    main()
