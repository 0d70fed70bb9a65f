"""The request log: complete lines, bounded queues, and sinks that cannot hurt anyone."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import orjson
import pytest

from gateway import request_log
from gateway.api import Attempt, Batch, LogSink, Record
from gateway.content import Content
from gateway.dialects.openai_client import CHAT
from gateway.ledger import frame
from gateway.logs import encode
from gateway.request_log import RequestLog, record_line


def record(request_id: str = "r-1", **given: Any) -> Record:
    return Record(1_700_000_000.5, "v1", request_id, "app", "chat", given.pop("alias", "smart"), **given)


def put(log: RequestLog, record: Record) -> None:
    log.put(record, frame.encode(record))


def line_of(record: Record) -> bytes:
    return record_line(record, frame.encode(record))


@dataclass
class Memory:
    """Keeps its batches; waits for ``gate`` before each, if there is one; fails while ``broken``."""

    batches: list[list[bytes]] = field(default_factory=list)
    gate: asyncio.Event | None = None
    broken: bool = False
    closed: bool = False
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def write(self, lines: Sequence[bytes]) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.broken:
            raise OSError("no space left")
        self.batches.append(list(lines))
        self.arrived.set()

    async def close(self) -> None:
        self.closed = True

    def ids(self) -> list[str]:
        return [orjson.loads(line)["request_id"] for batch in self.batches for line in batch]


@dataclass
class Batched(Memory):
    batch: Batch = field(default_factory=Batch)


class Drops(dict[str, int]):
    """What was dropped of each sink."""

    def __init__(self) -> None:
        super().__init__()
        self.changed = asyncio.Event()

    def __call__(self, sink: str, count: int) -> None:
        self[sink] = self.get(sink, 0) + count
        self.changed.set()


def test_a_line_has_every_field_of_the_record() -> None:
    full = record(
        provider="openai", key="k-1", model="gpt-4o", status=200, cost_nano_usd=1_234_567_890,
        first_token_ms=12.5, attempts=[Attempt("openai", "k-1", "gpt-4o", 200, "ok", 99.5)],
    )  # fmt: skip
    line = orjson.loads(line_of(full))
    assert list(line)[:4] == ["time", "level", "message", "request_id"]
    assert line.pop("time") == "2023-11-14T22:13:20.500Z"
    assert line.pop("level") == "info"
    assert line.pop("message") == "request"
    assert line.pop("cost_usd") == 1.23456789
    expected = full.to_json()
    del expected["time"]
    assert line == expected
    assert len(expected) == len(fields(Record)) - 1


def test_an_unknown_cost_is_null() -> None:
    line = orjson.loads(line_of(record()))
    assert line["cost_usd"] is None
    assert line["cost_nano_usd"] is None


@pytest.mark.parametrize(
    ("alias", "shown"),
    [
        ("a\r\n{}\x00", "a\r\n{}\x00"),
        ("a\u2028\u202e\x7f", "a\u2028\u202e\x7f"),
        ("a\ud800", "a\\ud800"),
        ("sk-CANARYCANARY", "sk-***"),
        ("x" * 5000, "x" * 2045 + "…"),
    ],
)
def test_hostile_names_are_harmless(alias: str, shown: str) -> None:
    line = line_of(record(alias=alias, attempts=[Attempt("p", "k", "m", 200, "ok", 1.0)]))
    assert len(line.decode().splitlines()) == 1
    assert orjson.loads(line)["alias"] == shown
    assert orjson.loads(line)["attempts"][0]["provider"] == "p"


def test_both_ways_of_encoding_agree() -> None:
    plain = record(attempts=[Attempt("p", "k", "m", 200, "ok", 1.0)], cost_nano_usd=5)
    line = line_of(plain)
    assert encode(orjson.loads(line)) == line


async def test_every_sink_gets_every_record_in_order() -> None:
    one, two, drops = Memory(), Memory(), Drops()
    log = RequestLog({"one": one, "two": two}, drops)
    ids = [f"r-{number}" for number in range(1050)]
    for request_id in ids:
        put(log, record(request_id))
    await log.close()
    assert one.ids() == two.ids() == ids
    assert one.closed
    assert two.closed
    assert drops == {}


async def test_records_arrive_without_a_close() -> None:
    sink = Memory()
    log = RequestLog({"one": sink}, Drops(), interval=0)
    for request_id in ("r-1", "r-2"):
        put(log, record(request_id))
        await sink.arrived.wait()
        sink.arrived.clear()
    assert sink.ids() == ["r-1", "r-2"]
    await log.close()


async def test_records_that_come_while_lines_are_made_wait_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    making, sink = asyncio.Event(), Memory()

    def noted(record: Record, payload: bytes) -> bytes:
        making.set()
        return record_line(record, payload)

    monkeypatch.setattr(request_log, "record_line", noted)
    log = RequestLog({"one": sink}, Drops(), interval=0.05)
    put(log, record())
    await making.wait()
    for _ in range(100):  # one in each turn of the loop
        put(log, record())
        await asyncio.sleep(0)
    await log.close()
    assert len(sink.ids()) == 101
    assert len(sink.batches) < 10


async def test_batches_have_the_size_the_sink_wants() -> None:
    sink, single = Batched(batch=Batch(size=3, interval_seconds=3600)), Batched(batch=Batch(enabled=False))
    log = RequestLog({"one": sink, "two": single}, Drops(), interval=0)
    for number in range(8):
        put(log, record(f"r-{number}"))
    await sink.arrived.wait()
    await log.close()
    assert [len(batch) for batch in sink.batches] == [3, 3, 2]
    assert [len(batch) for batch in single.batches] == [1] * 8


async def test_a_batch_that_is_not_full_goes_when_its_time_has_come() -> None:
    sink = Batched(batch=Batch(size=100, interval_seconds=0.001))
    log = RequestLog({"one": sink}, Drops(), interval=0)
    put(log, record())
    await sink.arrived.wait()
    assert sink.ids() == ["r-1"]
    await log.close()


@pytest.mark.parametrize(
    ("bound", "value"), [("QUEUE_LINES", 10), ("QUEUE_BYTES", 10 * len(line_of(record("r-10"))))]
)
async def test_a_slow_sink_loses_lines_and_hurts_no_other(
    bound: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_log, bound, value)
    slow, quick, drops = Memory(gate=asyncio.Event()), Memory(), Drops()
    log = RequestLog({"slow": slow, "quick": quick}, drops, interval=0)
    for number in range(30):
        put(log, record(f"r-{number}"))
        await quick.arrived.wait()
        quick.arrived.clear()
    assert slow.gate is not None
    slow.gate.set()
    await log.close()
    assert len(quick.ids()) == 30
    assert len(slow.ids()) + drops["slow"] == 30
    assert 10 <= len(slow.ids()) <= 11
    assert "quick" not in drops


async def test_records_are_bounded_before_they_are_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_log, "QUEUE_LINES", 10)
    sink, drops = Memory(), Drops()
    log = RequestLog({"one": sink}, drops)
    for _ in range(25):
        put(log, record())
    assert drops == {"one": 15}
    await log.close()
    assert len(sink.ids()) == 10


def content_of(*texts: str) -> list[Content]:
    return [Content(orjson.dumps({"prompt": text}), CHAT.assembly, ()) for text in texts]


async def test_content_is_the_last_field_of_its_own_line() -> None:
    sink = Memory()
    log = RequestLog({"one": sink}, Drops(), interval=0)
    [content] = content_of("canary")
    content.answered(b'{"id": 1}')
    same = record()
    for given in (None, content, None):
        log.put(same, frame.encode(same), given)
    await log.close()
    before, line, after = [line for batch in sink.batches for line in batch]
    assert before == after == line_of(same)
    assert line == before[:-1] + b',"content":{"request":{"prompt":"canary"},"answer":{"id":1}}}'


async def test_content_that_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    contents = content_of("one", "two", "six")
    monkeypatch.setattr(request_log, "_CONTENT_BYTES", 2 * contents[0].size)
    sink = Memory()
    log = RequestLog({"one": sink}, Drops(), interval=0)
    for content in contents:
        log.put(record(), frame.encode(record()), content)
    monkeypatch.undo()
    await sink.arrived.wait()
    log.put(record(), frame.encode(record()), *content_of("new"))
    await log.close()
    found = [orjson.loads(line)["content"]["request"] for batch in sink.batches for line in batch]
    assert found == [{"prompt": "one"}, {"prompt": "two"}, None, {"prompt": "new"}]


async def test_a_failing_sink_is_counted_and_complained_of_once(caplog: pytest.LogCaptureFixture) -> None:
    sink, drops = Batched(broken=True, batch=Batch(enabled=False)), Drops()
    log = RequestLog({"one": sink}, drops)
    for _ in range(20):
        put(log, record())
    with caplog.at_level(logging.WARNING):
        await log.close()
    assert drops == {"one": 20}
    [line] = caplog.records
    assert vars(line)["sink"] == "one"
    assert vars(line)["error"] == "OSError: no space left"


async def test_it_goes_on_when_the_sink_heals() -> None:
    sink, drops = Memory(broken=True), Drops()
    log = RequestLog({"one": sink}, drops, interval=0)
    put(log, record("r-lost"))
    await drops.changed.wait()
    sink.broken = False
    put(log, record("r-kept"))
    await log.close()
    assert sink.ids() == ["r-kept"]


async def test_closing_does_not_wait_for_ever() -> None:
    stuck, fine, drops = Memory(gate=asyncio.Event()), Memory(), Drops()
    log = RequestLog({"stuck": stuck, "fine": fine}, drops)
    for _ in range(5):
        put(log, record())
    await log.close(timeout=0.01)
    assert drops == {"stuck": 5}
    assert stuck.closed
    assert len(fine.ids()) == 5


async def test_what_comes_after_closing_is_dropped() -> None:
    sink, drops = Memory(), Drops()
    log = RequestLog({"one": sink}, drops, interval=0)
    inlet = log.inlet("one")
    await log.close()
    put(log, record())
    await drops.changed.wait()
    drops.changed.clear()
    inlet(b"{}")
    await drops.changed.wait()
    assert drops == {"one": 2}
    assert sink.batches == []


async def test_an_inlet_takes_lines_from_any_thread_for_one_sink() -> None:
    one, two = Memory(), Memory()
    log = RequestLog({"one": one, "two": two}, Drops())
    thread = threading.Thread(target=log.inlet("one"), args=(b"{}",))
    thread.start()
    await one.arrived.wait()
    thread.join()
    await log.close()
    assert one.batches == [[b"{}"]]
    assert two.batches == []


def test_an_inlet_of_a_loop_that_ended_drops() -> None:
    drops = Drops()

    async def make() -> Callable[[bytes], None]:
        sinks: dict[str, LogSink] = {"one": Memory()}
        log = RequestLog(sinks, drops)
        await log.close()
        return log.inlet("one")

    asyncio.run(make())(b"{}")
    assert drops == {"one": 1}
