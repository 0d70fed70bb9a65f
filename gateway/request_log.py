"""The request log: off the request's path usage records go, as lines, to every sink."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import orjson

from gateway.api.record import Record
from gateway.api.sink import Batch, Gathering, LogSink
from gateway.complaint import Complaint
from gateway.content import Content
from gateway.first_of import first_of
from gateway.logs import MAX_STRING, QUEUE_BYTES, QUEUE_LINES, SECRET, encode, rfc3339

_logger = logging.getLogger("coo_llm.request_log")

_FLUSH_RECORDS = 200  # encoded in one turn of the event loop: half a millisecond
_FLUSH_BYTES = 256 * 1024  # with content they go on to the sinks sooner, and are made in many turns
_CONTENT_BYTES = 16 * 1024 * 1024
"""Of content that waits to become lines, what a stop can still take the time for; more is left out."""
_FAILED = "log sink failed; its lines are dropped"
_AT_ONCE = Batch(size=1000, interval_seconds=0)
_ONE_BY_ONE = Batch(size=1, interval_seconds=0)
_VERSION, _ID, _CLIENT = b',"config_version":', b',"request_id":', b',"client":'
_SURROGATE = b"\\ud"


def record_line(record: Record, payload: bytes) -> bytes:
    """The record as a log line: its fields, as its ``payload`` has them, and the cost in dollars as well."""
    nano = record.cost_nano_usd
    dollars = None if nano is None else nano / 1e9
    if (
        len(payload) <= MAX_STRING
        and payload.isascii()
        and b"\x7f" not in payload
        and _SURROGATE not in payload
        and not _looks_secret(record.alias)
    ):
        # the same but for its beginning: ``{"time":…,"config_version":…,"request_id":…,"client":…``
        id, client = payload.index(_ID), payload.index(_CLIENT)
        return b'{"time":"%b","level":"info","message":"request"%b%b%b,"cost_usd":%b}' % (
            rfc3339(record.time).encode(),
            payload[id:client],
            payload[payload.index(_VERSION) : id],
            payload[client:-1],
            orjson.dumps(dollars),
        )
    start = {"time": rfc3339(record.time), "level": "info", "message": "request"}
    fields = {"request_id": record.request_id, **record.to_json()}
    del fields["time"]
    return encode({**start, **fields, "cost_usd": dollars})


@lru_cache(1024)
def _looks_secret(name: str) -> bool:
    return SECRET.search(name) is not None


class RequestLog:
    """Takes records and feeds the sinks. To be made, used and closed on the running event loop."""

    def __init__(
        self,
        sinks: Mapping[str, LogSink],
        dropped: Callable[[str, int], None],
        interval: float = 0.1,
    ) -> None:
        """``dropped`` is told the name of a sink and how many lines it lost (`Metrics.sink_dropped`);
        lines are made every ``interval`` seconds."""
        self._loop = asyncio.get_running_loop()
        self._queues = {name: SinkQueue(name, sink, dropped) for name, sink in sinks.items()}
        self._dropped = dropped
        self._interval = interval
        self._records: deque[tuple[Record, bytes, Content | None]] = deque()
        self._content_bytes = 0
        self._making: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def put(self, record: Record, payload: bytes, content: Content | None = None) -> None:
        """Log a finished request; ``payload`` is what `frame.encode` made of it, ``content`` is for its line
        alone. Never waits, never fails."""
        if len(self._records) >= QUEUE_LINES:
            for name in self._queues:
                self._dropped(name, 1)
            return
        if content is not None:
            if self._content_bytes + content.size > _CONTENT_BYTES:
                content.forget()
            self._content_bytes += content.size
        self._records.append((record, payload, content))
        if self._making is None:
            self._making = self._loop.create_task(self._make_lines())

    def inlet(self, name: str) -> Callable[[bytes], None]:
        """A function that hands finished lines to the sink ``name`` alone, from any thread."""
        queue = self._queues[name]

        def put(line: bytes) -> None:
            try:
                self._loop.call_soon_threadsafe(queue.put, (line,))
            except RuntimeError:  # the loop is closed
                self._dropped(name, 1)

        return put

    async def close(self, timeout: float = 5.0) -> None:
        """Deliver what is queued, within ``timeout`` seconds, and close the sinks. The rest is dropped."""
        self._closing.set()
        if self._making is not None:
            await self._making
        await asyncio.gather(*(queue.close(timeout) for queue in self._queues.values()))

    async def _make_lines(self) -> None:
        """Every interval, of the records that have come by then. With those that come meanwhile it would
        never end, and hand over a line or two at a time."""
        while self._records:
            await first_of(self._interval, self._closing)
            due = len(self._records)
            while due > 0:
                lines = await self._next_lines()
                due -= len(lines)
                for queue in self._queues.values():
                    queue.put(lines)
                await asyncio.sleep(0)
        self._making = None

    async def _next_lines(self) -> list[bytes]:
        """The next ones that go to the sinks together."""
        records, room = self._records, _FLUSH_BYTES
        lines: list[bytes] = []
        while records and len(lines) < _FLUSH_RECORDS and room > 0:
            record, payload, content = records.popleft()
            line = record_line(record, payload)
            if content is not None:
                line = b'%b,"content":%b}' % (line[:-1], await content.encoded())
                self._content_bytes -= content.size
                room -= len(line)
            lines.append(line)
        return lines


class SinkQueue:
    """The bounded queue of one sink, and the task that empties it."""

    def __init__(self, name: str, sink: LogSink, dropped: Callable[[str, int], None]) -> None:
        self._name = name
        self._sink = sink
        self._dropped = dropped
        batch = sink.batch if isinstance(sink, Gathering) else _AT_ONCE
        self._batch: Batch = batch if batch.enabled else _ONE_BY_ONE
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._due = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._complain = Complaint(_logger)
        self._task = asyncio.create_task(self._run(), name=f"log sink {name}")

    def put(self, lines: Sequence[bytes]) -> None:
        taken = lines[: 0 if self._closing else QUEUE_LINES - len(self._lines)]
        size = sum(map(len, taken))
        if self._bytes + size > QUEUE_BYTES:
            taken, size = (), 0
        self._lines.extend(taken)
        self._bytes += size
        if len(lines) > len(taken):
            self._dropped(self._name, len(lines) - len(taken))
        if len(self._lines) >= self._batch.size:
            self._due.set()
        elif self._timer is None and self._lines:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._batch.interval_seconds, self._due.set)

    async def close(self, timeout: float) -> None:
        self._closing = True
        self._due.set()
        try:
            async with asyncio.timeout(timeout):
                await self._task
        except TimeoutError:
            _logger.warning("log sink did not finish in time", extra={"sink": self._name})
        try:
            async with asyncio.timeout(1.0):
                await self._sink.close()
        except Exception as error:
            self._complain(_FAILED, error, sink=self._name)

    async def _run(self) -> None:
        while not self._closing or self._lines:
            await self._due.wait()
            self._due.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            due = len(self._lines)
            while due > 0:
                due -= await self._deliver()

    async def _deliver(self) -> int:
        lines = [self._lines.popleft() for _ in range(min(len(self._lines), self._batch.size))]
        self._bytes -= sum(map(len, lines))
        try:
            await self._sink.write(lines)
        except Exception as error:
            self._dropped(self._name, len(lines))
            self._complain(_FAILED, error, sink=self._name)
        except asyncio.CancelledError:
            self._dropped(self._name, len(lines) + len(self._lines))
            raise
        return len(lines)
