"""From the journal into the store: every record once, whatever fails on the way."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.api import Filter, Record, StoreUnavailable
from gateway.config.schema_storage import Retention
from gateway.ledger import journal as journal_module
from gateway.ledger import mover as module
from gateway.ledger import segment as segment_module
from gateway.ledger import upkeep as upkeep_module
from gateway.ledger.frame import frame
from gateway.ledger.journal import Journal
from gateway.ledger.mover import Mover
from gateway.ledger.service import keeping_records
from tests.daemon.running import until
from tests.ledger.support import NOW, Count, Troubled, crash, files, put, record, reopened, settled

DOWN = StoreUnavailable("the store is out of reach")


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATHER", 0.001)
    monkeypatch.setattr(module, "BACKOFF", (0.001, 0.004))
    monkeypatch.setattr(upkeep_module, "SYNC_SECONDS", 0.005)


@asynccontextmanager
async def moving(folder: Path | None, store: Troubled, count: Count | None = None) -> AsyncIterator[Journal]:
    journal = Journal(folder, Count() if count is None else count)
    async with keeping_records(journal, store, Retention()):
        yield journal


def leave(folder: Path, *numbers: int) -> Path:
    """Records of a process that was killed; the file they are in."""
    journal = reopened(folder)
    put(journal, *numbers)
    crash(journal)
    return files(folder)[-1]


async def test_records_reach_the_store_and_leave_the_journal(tmp_path: Path) -> None:
    store = Troubled()
    async with moving(tmp_path, store) as journal:
        put(journal, *range(20))
        await settled(journal)
        assert await store.ids() == list(range(20))
        assert files(tmp_path)[0].stat().st_size == 0
    assert files(tmp_path, "") == []
    assert len(store.given) == 20


async def test_batches_are_bounded(tmp_path: Path) -> None:
    store = Troubled()
    async with moving(tmp_path, store) as journal:
        put(journal, *range(1200))
        await settled(journal)
    assert store.batches == [500, 500, 200]


async def test_what_was_left_behind_is_read_and_decoded_off_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: dict[str, set[int]] = {"_read": set(), "decode": set()}

    def watch(owner: object, name: str) -> None:
        known = getattr(owner, name)

        def watched(*given: Any) -> Any:
            threads[name].add(threading.get_ident())
            return known(*given)

        monkeypatch.setattr(owner, name, watched)

    leave(tmp_path, *range(20))
    watch(segment_module, "_read")
    watch(module, "decode")
    store = Troubled()
    async with moving(tmp_path, store) as journal:
        await until(lambda: len(store.given) == 20)
        await settled(journal)
    assert all(seen and threading.get_ident() not in seen for seen in threads.values()), threads


async def test_a_segment_whose_records_move_to_another_file_while_it_is_read_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    known = segment_module._stretch

    def stretch(path: Path, start: int, end: int) -> segment_module.Stretch:
        if threading.current_thread() is not threading.main_thread():
            asyncio.run_coroutine_threadsafe(restore(), loop).result()
        return known(path, start, end)

    async def restore() -> None:
        journal.segments[0].doubtful = True
        journal.restore()

    monkeypatch.setattr(journal_module, "RECENT", 2)
    journal = reopened(tmp_path)
    put(journal, 1, 2, 3)
    monkeypatch.setattr(segment_module, "_stretch", stretch)
    store = Troubled()
    mover = Mover(journal, store)
    await settled(journal)
    await mover.close()
    journal.close()
    assert sorted(store.given) == [record(number).id for number in (1, 2, 3)]
    assert not caplog.records


async def test_records_that_come_during_a_move_wait_for_others(tmp_path: Path) -> None:
    class Busy(Troubled):
        async def append(self, records: Sequence[Record]) -> None:
            await super().append(records)
            if len(self.given) == 1:
                put(journal, 2)
                asyncio.get_running_loop().call_soon(put, journal, 3, 4)

    store = Busy()
    async with moving(tmp_path, store) as journal:
        put(journal, 1)
        await until(lambda: len(store.given) == 4)
    assert store.batches == [1, 3]


async def test_what_comes_during_the_last_move_is_moved(tmp_path: Path) -> None:
    class Late(Troubled):
        async def append(self, records: Sequence[Record]) -> None:
            await super().append(records)
            if len(self.given) < 3:
                put(journal, len(self.given) + 1)

    store = Late()
    async with moving(tmp_path, store) as journal:
        put(journal, 1)
    assert await store.ids() == [1, 2, 3]
    assert files(tmp_path, "") == []


async def test_what_is_there_at_the_end_is_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATHER", 3600)
    store = Troubled()
    async with moving(tmp_path, store) as journal:
        put(journal, 1, 2)
    assert await store.ids() == [1, 2]
    assert files(tmp_path, "") == []


@pytest.mark.parametrize("fault", [DOWN, RuntimeError("a bug"), KeyError("x")])
@pytest.mark.parametrize("memory", [True, False])
async def test_a_store_in_trouble_gets_everything_when_it_is_back(
    tmp_path: Path, fault: Exception, memory: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "gateway.ledger.mover")
    store = Troubled(fault)
    async with moving(None if memory else tmp_path, store) as journal:
        put(journal, 1)
        for number in range(2, 6):
            store.called.clear()
            await store.called.wait()
            put(journal, number)
        assert journal.pending == 5
        store.fault = None
        await settled(journal)
    assert await store.ids() == [1, 2, 3, 4, 5]
    assert [(line.levelname, line.message) for line in caplog.records] == [
        ("WARNING", "usage records wait for the store"),
        ("INFO", "the store takes usage records again"),
    ]


async def test_a_long_outage_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "RECENT", 10)
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES", 20_000)
    store = Troubled(DOWN)
    async with moving(tmp_path, store) as journal:
        put(journal, *range(300))
        assert sum(len(segment.recent or ()) for segment in journal.segments) <= 10
        store.fault = None
        await settled(journal)
        assert await store.ids() == list(range(300))
        assert len(store.given) == 300
        assert len(files(tmp_path)) == 1


async def test_a_store_down_at_the_end_leaves_the_records_to_the_next_start(tmp_path: Path) -> None:
    store = Troubled(DOWN)
    async with moving(tmp_path, store) as journal:
        put(journal, 1, 2)
    store.fault = None
    async with moving(tmp_path, store) as journal:
        put(journal, 3)
        await until(lambda: len(store.given) == 3)
    assert await store.ids() == [1, 2, 3]
    assert files(tmp_path, "") == []


async def test_one_poisonous_record_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store, count = Troubled(), Count()
    store.poison = {record(7).id: ValueError("secret"), record(8).id: OverflowError()}
    async with moving(tmp_path, store, count) as journal:
        put(journal, *range(20))
        await settled(journal)
    assert await store.ids() == [number for number in range(20) if number not in (7, 8)]
    lines = (tmp_path / "records.rejected").read_bytes().splitlines()
    assert [orjson.loads(line)["id"] for line in lines] == [record(7).id, record(8).id]
    assert count == {"rejected": 2}
    assert [line.levelname for line in caplog.records] == ["ERROR", "ERROR"]
    assert "secret" not in caplog.text


async def test_records_from_before_what_was_pruned_are_set_aside_with_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, count = Troubled(), Count()
    await store.append([record(2, cost_nano_usd=2)])
    await store.prune(NOW + 3, 0.0)
    async with moving(tmp_path, store, count) as journal:
        put(journal, *range(6))
        await settled(journal)
    assert await store.ids() == [3, 4, 5]
    lines = (tmp_path / "records.late").read_bytes().splitlines()
    assert [Record.from_json(orjson.loads(line)) for line in lines] == [
        record(number, cost_nano_usd=number) for number in range(3)
    ]
    assert count == {"late": 3}
    assert [line.levelname for line in caplog.records] == ["ERROR"]


async def test_a_payload_that_is_no_record_is_set_aside(tmp_path: Path) -> None:
    path = leave(tmp_path, 1)
    path.write_bytes(frame(b'{"time":1,"from":"the future"}') + path.read_bytes())
    store, count = Troubled(), Count()
    async with moving(tmp_path, store, count):
        await until(lambda: store.given == [record(1).id])
    assert count == {"rejected": 1}
    assert b"the future" in (tmp_path / "records.rejected").read_bytes()


async def test_a_record_of_a_later_version_is_moved(tmp_path: Path) -> None:
    path = leave(tmp_path, 1)
    path.write_bytes(frame(orjson.dumps({**record(1).to_json(), "region": "eu"})))
    store, count = Troubled(), Count()
    async with moving(tmp_path, store, count):
        await until(lambda: store.given == [record(1).id])
    assert count == {}


async def test_what_a_killed_process_left_is_moved(tmp_path: Path) -> None:
    leave(tmp_path, 1, 2)
    leave(tmp_path, 3)
    store = Troubled()
    async with moving(tmp_path, store) as journal:
        await until(lambda: len(store.given) == 3)
        await settled(journal)
    assert await store.ids() == [1, 2, 3]
    assert files(tmp_path, "") == []


async def test_what_cannot_be_taken_is_told_and_in_the_way_of_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as the files of somebody who ran it as root once; folders stand for them where all is root's."""
    first = leave(tmp_path, 1)
    leave(tmp_path, 2)
    number = len("000001.journal")
    pipe, folder = (first.with_name(f"{first.name[:-number]}{n:06}.journal") for n in (0, 2))
    others = [tmp_path / "0.lock", tmp_path / "00.000001.journal"]
    os.mkfifo(pipe)
    for path in (folder, *others):
        path.mkdir()
    store = Troubled()
    async with moving(tmp_path, store) as journal:
        await until(lambda: len(store.given) == 2)
        await until(lambda: set(journal.untaken) == {pipe, folder, *others})
        assert journal.untaken[pipe] == "is not a regular file"
        [line] = [line for line in caplog.records if line.levelname == "WARNING"]
        assert "its records are not counted" in line.message
        assert (line.__dict__["path"], line.__dict__["paths"]) == (str(others[0]), 4)
        pipe.unlink()
        for path in (folder, *others):
            path.rmdir()
        leave(tmp_path, 3)
        await until(lambda: not journal.untaken and len(store.given) == 3)
    assert await store.ids() == [1, 2, 3]


async def test_the_files_of_a_living_process_are_left_alone(tmp_path: Path) -> None:
    living = reopened(tmp_path)
    put(living, 1)
    leave(tmp_path, 2)
    store = Troubled()
    async with moving(tmp_path, store):
        await until(lambda: store.given == [record(2).id])
        crash(living)
        await until(lambda: len(store.given) == 2)
    assert await store.ids() == [1, 2]


async def test_half_a_record_at_the_end_is_dropped_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = leave(tmp_path, 1, 2, 3)
    path.write_bytes(path.read_bytes()[:-5])
    store, count = Troubled(), Count()
    async with moving(tmp_path, store, count):
        await until(lambda: len(store.given) == 2)
    assert await store.ids() == [1, 2]
    assert count == {"torn": 1}
    assert [line.levelname for line in caplog.records].count("WARNING") == 1
    assert files(tmp_path, "") == []


async def test_damage_is_skipped_and_kept(tmp_path: Path) -> None:
    path = leave(tmp_path, 1, 2, 3)
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2] + b"\xff" + good[len(good) // 2 + 1 :])
    store, count = Troubled(), Count()
    async with moving(tmp_path, store, count):
        await until(lambda: len(store.given) == 2)
    assert await store.ids() == [1, 3]
    assert count == {"damaged": 1}
    [kept] = files(tmp_path, "")
    assert kept.name.startswith(f"{path.name}.corrupt-")
    assert b"\xff" in kept.read_bytes()


async def test_damage_in_many_places_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = leave(tmp_path, *range(9))
    data = bytearray(path.read_bytes())
    size = len(data) // 9
    for number in (1, 3, 5):
        data[number * size + size // 2] ^= 0xFF
    path.write_bytes(data)
    store, count = Troubled(), Count()
    async with moving(tmp_path, store, count):
        await until(lambda: len(store.given) == 6)
    assert count == {"damaged": 3}
    [line] = [line for line in caplog.records if line.levelname == "ERROR"]
    [kept] = files(tmp_path, "")
    assert (line.places, line.kept_in) == (3, str(kept))  # type: ignore[attr-defined]


async def test_replayed_any_number_of_times_is_replayed_once(tmp_path: Path) -> None:
    store = Troubled()
    data = leave(tmp_path, *range(10)).read_bytes()
    for _ in range(3):
        async with moving(tmp_path, store) as journal:
            await until(lambda: bool(store.given))
            await settled(journal)
        path = leave(tmp_path, 1)
        path.write_bytes(data * 2)
        store.given.clear()
    [total] = await store.totals(Filter(), [])
    assert total.requests == 10
    assert total.cost_nano == sum(range(10))


class Killed(BaseException):
    """The process ends here."""


def before(function: Callable[..., Any]) -> Callable[..., Any]:
    def killing(*args: Any, **named: Any) -> Any:
        raise Killed

    return killing


def after(function: Callable[..., Any]) -> Callable[..., Any]:
    def killing(*args: Any, **named: Any) -> Any:
        function(*args, **named)
        raise Killed

    return killing


async def append_then_die(self: Troubled, records: list[Record]) -> None:
    await original_append(self, records)
    raise Killed


async def append_half_and_die(self: Troubled, records: list[Record]) -> None:
    await original_append(self, records[: len(records) // 2])
    raise Killed


original_append = Troubled.append
DEATHS: list[tuple[object, str, Callable[..., Any]]] = [
    (Troubled, "append", before(original_append)),
    (Troubled, "append", append_half_and_die),
    (Troubled, "append", append_then_die),
    (os, "ftruncate", before(os.ftruncate)),
    (os, "ftruncate", after(os.ftruncate)),
    (Path, "unlink", before(Path.unlink)),
    (Path, "unlink", after(Path.unlink)),
]


@pytest.mark.parametrize(("owner", "step", "death"), DEATHS)
async def test_killed_at_any_step_the_store_has_each_record_once(
    tmp_path: Path, owner: object, step: str, death: Callable[..., Any]
) -> None:
    store = Troubled()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal_module, "SEGMENT_BYTES", 2_500)  # some are deleted, the last is emptied
        journal = reopened(tmp_path)
        put(journal, *range(20))
        patch.setattr(owner, step, death)
        Mover(journal, store)
        [task] = (task for task in asyncio.all_tasks() if task.get_name() == "journal mover")
        with pytest.raises(Killed):
            await task
        crash(journal)
    async with moving(tmp_path, store) as journal:
        put(journal, 20)
        await until(lambda: len({*store.given}) == 21)
        await settled(journal)
    assert await store.ids() == list(range(21))
    [total] = await store.totals(Filter(), [])
    assert total.cost_nano == sum(range(21))


async def test_a_segment_that_cannot_be_read_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(journal_module, "RECENT", 2)
    store = Troubled(DOWN)
    async with moving(tmp_path, store) as journal:
        put(journal, 1, 2, 3)
        files(tmp_path)[0].unlink()
        store.fault = None
        with caplog.at_level(logging.ERROR):
            await until(lambda: "cannot be read" in caplog.text)
        put(journal, 4)
        await until(lambda: store.given == [record(4).id])
