"""What processes share over the file store's host: it outlives them, and reaches every one of them."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.api import Site, StoreUnavailable, Trouble
from gateway.api.testing.clock import ManualClock
from gateway_stores import file_host, file_link, file_state
from gateway_stores.file_host import AT_ONCE, RETRY_SECONDS, Host
from gateway_stores.file_link import Link
from gateway_stores.windows.quota import Ask, Span, Use

SPANS = {"requests": Span(10, 60.0)}


def ask(number: int, holder: str = "a", **values: Any) -> Ask:
    return Ask(
        **{"subject": "key:p/k", "spans": SPANS, "held": {}, "need": {}, "want": {}, **values},
        number=number,
        holder=holder,
    )


def used(host: Host, number: int = 1) -> int:
    """What counts as used or held, in the eyes of somebody new."""
    [answer] = host.exchange([ask(number, "looking")])
    return sum(amount for _, amount in answer.buckets.get("requests", ())) + answer.others["requests"]


class Disk:
    """A host's file, and hosts that come one after another."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "store.db.windows")
        self.clock = ManualClock(1_700_000_000.0)
        self.failed: list[str] = []

    async def host(self) -> Host:
        host = Host(self.path, self.clock, self.failed.append)
        await host.open()
        return host


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


async def test_what_was_used_and_held_counts_after_kill_9(disk: Disk) -> None:
    host = await disk.host()
    host.exchange([ask(1, need={"requests": 4})])
    host.exchange([ask(2, held={"requests": 1}, uses=[Use(1, "requests", 0.5, 3)])])
    disk.clock.advance(10.0)
    after = await disk.host()
    assert used(after) == 4
    disk.clock.advance(61.5)
    assert used(after, 2) == 0


async def test_what_was_given_back_before_the_end_is_free(disk: Disk) -> None:
    host = await disk.host()
    host.exchange([ask(1, need={"requests": 4})])
    host.exchange([ask(2, uses=[Use(1, "requests", 0.0, 1)])])
    await host.close()
    assert used(await disk.host()) == 1


async def test_what_counts_no_longer_is_forgotten_a_little_at_a_time(disk: Disk) -> None:
    host = await disk.host()
    host.exchange([ask(1, subject=f"client:{i}", need={"requests": 1}) for i in range(5 * AT_ONCE)])
    if host._sweeping is not None:
        await host._sweeping
    disk.clock.advance(1000.0)
    host.tell("", "fact", "", 1.0)
    known = 5 * AT_ONCE
    while known:
        left = len(host._authority.subjects())
        assert known - left <= AT_ONCE
        known = left
        await asyncio.sleep(0)


async def test_a_lost_holder_holds_nothing(disk: Disk) -> None:
    host = await disk.host()
    slots = {"parallel": Span(3, 0.0)}
    host.exchange([ask(1, spans=slots, need={"parallel": 3})])
    host.lost("a")
    [answer] = host.exchange([ask(1, "b", spans=slots, need={"parallel": 3})])
    assert answer.granted == {"parallel": 3}


async def test_any_cut_of_the_file_loses_at_most_what_was_cut(disk: Disk) -> None:
    host = await disk.host()
    sizes = [size(disk.path)]
    for number in range(1, 6):
        host.exchange([ask(number, uses=[Use(number, "requests", 0.0, 1)])])
        sizes.append(size(disk.path))
    whole = content(disk.path)
    for length in range(sizes[0], sizes[-1], 7):
        put(disk.path, whole[:length])
        assert used(await disk.host()) == sum(length + 1 >= size for size in sizes[1:]), length
    put(disk.path, b"nonsense")
    assert used(await disk.host()) == 0


async def test_no_damaged_byte_frees_what_was_used_or_held(disk: Disk) -> None:
    """The more it counts as used: what a holder had when something of it cannot be read."""
    host = await disk.host()
    host.exchange([ask(1, uses=[Use(1, "requests", 0.0, 2)], held={"requests": 2})])
    await host.close()
    host = await disk.host()  # a snapshot with two used and two lost, and what comes after it
    host.exchange([ask(1, "b", need={"requests": 2})])
    host.exchange([ask(2, "b", held={"requests": 1}, uses=[Use(1, "requests", 0.0, 1)])])
    host.exchange([ask(3, "b", uses=[Use(2, "requests", 0.0, 1)])])
    whole = content(disk.path)
    granted = whole.splitlines()[3]  # what was granted, and used by the event after it
    for offset in range(0, len(whole), 3):
        if offset == whole.index(granted) + len(granted):
            continue  # the newline between these two: nothing whole tells of the second use
        put(disk.path, whole[:offset] + bytes([whole[offset] ^ 0x41]) + whole[offset + 1 :])
        assert 6 <= used(await disk.host()) <= 8, offset


async def test_facts_hold_until_their_time_is_over(disk: Disk) -> None:
    host = await disk.host()
    host.tell("a", "cool:key:p/k", "429", 30.0)
    host.tell("a", "open:key:p/k", "1", 90.0)
    disk.clock.advance(40.0)
    assert (await disk.host()).news("b", 0)[1] == [("open:key:p/k", "1", 50.0)]


async def test_facts_hold_no_longer_than_they_were_to_though_the_clock_went_back(disk: Disk) -> None:
    host = await disk.host()
    host.tell("a", "cool:key:p/k", "429", 30.0)
    disk.clock.advance(-86400.0)
    host = await disk.host()
    assert host.news("b", 0)[1] == [("cool:key:p/k", "429", 30.0)]
    await host.close()  # with a snapshot
    disk.clock.advance(-86400.0)
    assert (await disk.host()).news("b", 0)[1] == [("cool:key:p/k", "429", 30.0)]


async def told_to_a_worker(host: Host) -> Trouble | None:
    """What one that asks now takes for the host's trouble."""

    async def answered(message: bytes) -> bytes:
        return file_link.answer(host, "worker", message)

    link = Link()
    await link.open(Site(ask=answered), None)
    trouble = link.trouble
    await link.close()
    await asyncio.sleep(0.01)  # by then it polls no more
    return trouble


async def test_a_full_disk_is_trouble_until_it_is_not(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    host = await disk.host()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        for number in range(1, 4):
            host.exchange([ask(number, uses=[Use(number, "requests", 0.0, 1)])])
            disk.clock.advance(RETRY_SECONDS)
            await settled(host)
        assert host.trouble is not None
        assert "No space left on device" in host.trouble.message
        assert disk.path in host.trouble.message
        assert used(host) == 3
        assert await told_to_a_worker(host) == host.trouble
    disk.clock.advance(RETRY_SECONDS)
    host.exchange([ask(1, "b")])
    await settled(host)
    assert host.trouble is None
    assert await told_to_a_worker(host) is None
    assert [(line.levelname, line.message) for line in caplog.records] == [
        ("ERROR", "windows are kept in memory only"),
        ("INFO", "windows are written to disk again"),
    ]
    assert set(disk.failed) == {"reserve"}
    assert used(await disk.host()) == 3


async def test_a_disk_that_is_full_at_the_start_is_named(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match=f"^{disk.path}: No space left on device$"):
        await disk.host()


async def settled(host: Host) -> None:
    """Wait for what the host writes in the background."""
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        await task


class Worker:
    """A worker's link to a host, and what it heard."""

    def __init__(self, name: str, host: Host) -> None:
        self.link = Link()
        self.heard: dict[str, str] = {}
        self.news = asyncio.Event()
        self.down = False
        self._host, self._name = host, name

    async def ask(self, message: bytes) -> bytes:
        if self.down:
            raise StoreUnavailable("the supervisor does not answer")
        return file_link.answer(self._host, self._name, message)

    def hear(self, name: str, value: str, seconds: float) -> None:
        self.heard[name] = value
        self.news.set()


@asynccontextmanager
async def worker(name: str, host: Host) -> AsyncIterator[Worker]:
    made = Worker(name, host)
    await made.link.open(Site(holder=name, ask=made.ask, heard=made.hear), None)
    yield made
    await made.link.close()


async def test_workers_reserve_from_one_window(disk: Disk) -> None:
    host = await disk.host()
    async with worker("a", host) as one, worker("b", host) as other:
        [first] = await one.link.exchange([ask(1, "a", need={"requests": 7})])
        [second] = await other.link.exchange([ask(1, "b", need={"requests": 4})])
        assert (first.granted, second.granted) == ({"requests": 7}, {})
        one.down = True
        with pytest.raises(StoreUnavailable):
            await one.link.exchange([ask(2, "a")])


async def test_what_one_worker_shares_the_others_hear_and_those_that_come_later(disk: Disk) -> None:
    host = await disk.host()
    async with worker("a", host) as one, worker("b", host) as other:
        one.link.share("cool:k", "429", 30.0)
        one.link.share("cool:k", "529", 60.0)
        async with asyncio.timeout(5):
            await other.news.wait()
        assert (one.heard, other.heard) == ({}, {"cool:k": "529"})
        async with worker("c", host) as late:
            assert late.heard == {"cool:k": "529"}


async def test_a_fact_waits_for_a_supervisor_that_does_not_answer(disk: Disk) -> None:
    host = await disk.host()
    async with worker("a", host) as one:
        one.down = True
        one.link.share("cool:k", "429", 30.0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        one.down = False
    [(name, value, seconds)] = host.news("", 0)[1]
    assert (name, value) == ("cool:k", "429")
    assert 25.0 < seconds <= 30.0


async def test_a_fact_that_is_on_its_way_as_a_worker_ends_is_told(disk: Disk) -> None:
    host, on_its_way = await disk.host(), asyncio.Event()

    async def answered(message: bytes) -> bytes:
        if b"cool:k" in message and not on_its_way.is_set():
            on_its_way.set()
            await asyncio.Event().wait()
        return file_link.answer(host, "worker", message)

    link = Link()
    await link.open(Site(ask=answered), None)
    link.share("cool:k", "429", 30.0)
    await on_its_way.wait()
    await link.close()
    assert [name for name, _, _ in host.news("", 0)[1]] == ["cool:k"]


@pytest.mark.parametrize("message", [b"", b"[]", b"{}", b'{"asks":[{}]}', b'{"told":[1],"since":0}'])
async def test_what_is_no_message_is_refused(message: bytes, disk: Disk) -> None:
    with pytest.raises(ValueError):
        file_link.answer(await disk.host(), "a", message)


def size(path: str) -> int:
    return Path(path).stat().st_size


def content(path: str) -> bytes:
    return Path(path).read_bytes()


def put(path: str, data: bytes) -> None:
    Path(path).write_bytes(data)


async def test_what_happens_while_a_snapshot_is_made_counts_once(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state is written down in many turns, with exchanges about all subjects between them."""
    monkeypatch.setattr(file_host, "AT_ONCE", 1)
    monkeypatch.setattr(file_state, "GROWN_BYTES", 1)
    host = await disk.host()
    subjects = [f"key:p/{number}" for number in range(20)]
    for turn in range(1, 31):
        for subject in subjects:
            host.exchange([ask(turn, subject=subject, uses=[Use(turn, "requests", 0.0, 1)])])
        await asyncio.sleep(0)
    shutil.copy(disk.path, copied := f"{disk.path}.copy")  # what a process that is killed now leaves
    left = Host(copied, disk.clock, disk.failed.append)
    await left.open()
    for subject in subjects:
        [answer] = left.exchange([ask(1, "looking", subject=subject)])
        assert sum(amount for _, amount in answer.buckets["requests"]) == 30
    await host.close()


async def test_who_only_looks_costs_no_disk(disk: Disk) -> None:
    host = await disk.host()
    host.exchange([ask(1, uses=[Use(1, "requests", 0.0, 4)])])
    size = os.stat(disk.path).st_size
    [answer] = host.exchange([ask(0, "b")])
    assert [amount for _, amount in answer.buckets["requests"]] == [4]
    assert os.stat(disk.path).st_size == size
    await host.close()
