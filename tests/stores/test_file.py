"""The file store when its files give trouble, and when several of it share them."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import pytest

from gateway.api import Filter, Hosting, Limits, Refusal, Site, Store, StoreUnavailable
from gateway.api.testing.clock import ManualClock
from gateway.api.testing.ledger import plain
from gateway_stores import file_cache, file_lane
from gateway_stores.file import FileStore
from gateway_stores.file_cache import AT_ONCE
from gateway_stores.file_schema import make_private, open_wal
from gateway_stores.file_transaction import transaction
from tests.daemon.running import until


@asynccontextmanager
async def opened(
    path: str, site: Site | None = None, clock: ManualClock | None = None
) -> AsyncIterator[FileStore]:
    store = FileStore(path)
    store.clock = clock or store.clock
    await store.open(site or Site())
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "data" / "store.db")


async def test_directories_that_were_missing_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "var" / "lib"
    async with opened(str(folder / "store.db")):
        assert [one.stat().st_mode & 0o777 for one in (folder, folder.parent)] == [0o700, 0o700]


def test_what_undoes_a_statement_is_no_file(path: str) -> None:
    """An INSERT of many rows into a table that has some would make one, and write pages to it."""
    made: set[str] = set()

    def look() -> int:
        made.update(name for link in os.scandir("/proc/self/fd") if "etilqs" in (name := os.readlink(link)))
        return 0

    make_private(path)
    with closing(open_wal(path)) as connection, transaction(connection):
        connection.execute("CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT")
        connection.set_progress_handler(look, 1000)
        for _ in range(2):
            connection.execute(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION SELECT i + 1 FROM n WHERE i < 5000) "
                "INSERT INTO t SELECT hex(randomblob(16)), i FROM n WHERE true ON CONFLICT DO NOTHING"
            )
    assert not made


@contextmanager
def full_disk() -> Iterator[None]:
    """No file grows; SIGXFSZ is ignored by Python from the start."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_it_is_a_store_that_hosts(path: str) -> None:
    async with opened(path) as store:
        made: Store = store
        assert isinstance(made, Hosting)
        assert store.shared
        assert store.trouble() is None


async def test_a_second_daemon_is_refused(path: str) -> None:
    async with opened(path):
        with pytest.raises(BlockingIOError, match=f"^{path}: is in use by another gateway"):
            async with opened(path):
                pass
    async with opened(path):
        pass


async def test_records_and_answers_outlive_it(path: str) -> None:
    async with opened(path) as store:
        await store.append([plain(0)])
        await store.cache_put("key", b"answer", 60.0)
    async with opened(path) as store:
        assert await store.requests(Filter(), 10) == [plain(0)]
        assert await store.cache_get("key") == b"answer"


async def test_windows_and_facts_outlive_it_and_kill_9(path: str, tmp_path: Path) -> None:
    limits = Limits(requests=3)
    heard: list[tuple[str, str]] = []
    async with opened(path) as store:
        store.share("cool:k", "429", 60.0)
        meter = store.meter("key:p/k", limits)
        for _ in range(3):
            assert not isinstance(await store.reserve(meter, 0), Refusal)
        killed = str(tmp_path / "killed")
        await asyncio.to_thread(shutil.copytree, Path(path).parent, killed)
    for folder in (str(Path(path).parent), killed):
        heard.clear()
        site = Site(heard=lambda name, value, _: heard.append((name, value)))
        async with opened(f"{folder}/store.db", site) as store:
            assert heard == [("cool:k", "429")]
            assert isinstance(await store.reserve(store.meter("key:p/k", limits), 0), Refusal)


async def test_a_path_that_cannot_be_is_one_line_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=f"^{tmp_path / 'file'}: Not a directory$"):
        async with opened(str(tmp_path / "file" / "store.db")):
            pass


async def test_a_full_disk_is_trouble_until_it_is_not(path: str) -> None:
    failed: list[str] = []
    async with opened(path, Site(failed=failed.append)) as store:
        await store.append([plain(0)])
        assert await store.requests(Filter(), 10) == [plain(0)]
        with full_disk():
            with pytest.raises(StoreUnavailable, match=f"^{path}: "):
                await store.append([plain(1)])
            with pytest.raises(StoreUnavailable):
                await store.cache_put("key", b"answer", 60.0)
            assert await store.requests(Filter(), 10) == [plain(0)]
            assert not isinstance(await store.reserve(store.meter("key:p/k", Limits(requests=1)), 0), Refusal)
            trouble = store.trouble()
            assert trouble is not None
            assert path in trouble.message
        assert failed[:2] == ["append", "cache_put"]
        await store.append([plain(0), plain(1)])
        await store.cache_put("key", b"answer", 60.0)
        [total] = await store.totals(Filter(), [])
        assert total.requests == 2


async def test_a_look_up_waits_for_no_answer_that_is_being_kept(path: str) -> None:
    async with opened(path) as store:
        await store.cache_put("key", b"answer", 60.0)
        with closing(sqlite3.connect(f"{path}.cache")) as other:
            assert await store.cache_get("key") == b"answer"
            other.execute("BEGIN IMMEDIATE")
            putting = asyncio.create_task(store.cache_put("other", b"later", 60.0))
            await asyncio.sleep(0)
            assert await store.cache_get("key") == b"answer"
            assert not putting.done()
            other.rollback()
        await putting
        assert await store.cache_get("other") == b"later"


async def test_expired_answers_go_with_old_records(path: str) -> None:
    clock = ManualClock()
    async with opened(path, clock=clock) as store:
        for number in range(AT_ONCE):
            await store.cache_put(f"key-{number}", b"answer", 60.0)
        clock.advance(61.0)
        assert [await store.prune(0.0, 0.0) for _ in range(2)] == [True, False]
    with closing(sqlite3.connect(f"{path}.cache")) as cache:
        assert cache.execute("SELECT count(*) FROM answers").fetchone() == (0,)


async def test_old_records_go_though_there_is_no_cache_or_one_in_trouble(path: str) -> None:
    failed = list[str]()
    async with opened(path, Site(failed=failed.append)) as store:
        await store.append([plain(0), plain(1)])
        assert not await store.prune(plain(1).time, 0.0)
        assert not await asyncio.to_thread(os.path.exists, f"{path}.cache")
        os.mkdir(f"{path}.cache")
        assert not await store.prune(plain(1).time + 1, 0.0)
        assert await store.requests(Filter(), 10) == []
        assert failed == ["prune"]


async def test_trouble_of_the_cache_ends_though_nobody_asks_for_an_answer(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_lane, "PROBE_SECONDS", 0.005)
    cache, failed = f"{path}.cache", list[str]()
    async with opened(path, Site(failed=failed.append)) as store:
        os.mkdir(cache)
        with pytest.raises(StoreUnavailable, match=f"^{cache}: Is a directory"):
            await store.cache_get("key")
        with pytest.raises(StoreUnavailable, match=f"^{cache}: Is a directory"):
            await store.cache_put("key", b"answer", 60.0)
        await until(lambda: failed.count("probe") > 2)
        assert store.trouble() is not None
        os.rmdir(cache)
        await until(lambda: store.trouble() is None)


async def test_a_cache_whose_disk_is_full_is_in_trouble_until_there_is_room(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_lane, "PROBE_SECONDS", 0.005)
    failed = list[str]()
    async with opened(path, Site(failed=failed.append)) as store:
        await store.cache_put("key", b"answer", 60.0)
        assert await store.cache_get("key") == b"answer"
        with full_disk():
            with pytest.raises(StoreUnavailable):
                await store.cache_put("other", b"answer", 60.0)
            await until(lambda: "probe" in failed)
            assert store.trouble() is not None
            assert await store.cache_get("key") == b"answer"
        await until(lambda: store.trouble() is None)


async def test_cached_answers_leave_what_is_left_of_a_disk_to_usage_records(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_lane, "PROBE_SECONDS", 0.005)
    async with opened(path) as store:
        await store.cache_put("key", b"answer", 60.0)
        with monkeypatch.context() as nearly_full:
            nearly_full.setattr(file_cache, "ROOM", 1 << 60)
            with pytest.raises(
                StoreUnavailable, match=f"^{path}.cache: the last .* MB .* not for cached answers"
            ):
                await store.cache_put("other", b"answer", 60.0)
            await store.append([plain(1)])
            assert await store.cache_get("key") == b"answer"
            assert store.trouble() is not None
        await until(lambda: store.trouble() is None)
        await store.cache_put("other", b"answer", 60.0)


async def test_a_cache_that_turns_out_to_be_damaged_is_begun_anew(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_lane, "PROBE_SECONDS", 0.005)
    async with opened(path) as store:
        for number in range(100):
            await store.cache_put(f"key-{number}", b"v" * 10_000, 60.0)
    async with opened(path) as store:
        await store.cache_put("new", b"answer", 60.0)
        garble_values(f"{path}.cache")
        with pytest.raises(StoreUnavailable, match="damaged"):
            await store.cache_get("key-90")
        await until(lambda: store.trouble() is None)
        assert await store.cache_get("new") is None
        await store.cache_put("new", b"answer", 60.0)
        assert await store.cache_get("new") == b"answer"
    async with opened(path) as store:
        assert await store.cache_get("new") == b"answer"


async def test_damage_that_shows_later_is_logged_once_and_mended_at_the_next_start(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(path) as store:
        await store.append([plain(number) for number in range(200)])
    garble(path)
    async with opened(path, Site(ask=unanswered)) as worker:
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="damaged"):
                await worker.requests(Filter(), 1000)
        [line] = [line for line in caplog.records if line.levelname == "ERROR"]
        assert line.message.startswith(f"{path}: is damaged")
        trouble = worker.trouble()
        assert trouble is not None
        assert "damaged" in trouble.message
    failed: list[str] = []
    async with opened(path, Site(failed=failed.append)) as store:
        assert failed == ["open"]
        assert 0 < len(await store.requests(Filter(), 1000)) <= 200
        assert store.trouble() is None
        await store.cache_put("key", b"answer", 60.0)


async def test_a_damaged_record_is_told_with_what_is_summed_of_it(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    record = plain(1)
    record.config_version = record.operation = record.alias = ""
    record.provider, record.cost_nano_usd, record.first_token_ms = "p", 5, 1.5
    record.total_ms, record.error, record.cached_tokens = 2.5, "code", 1
    async with opened(path) as store:
        await store.append([record])
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE records SET record = ?", [b"\0"])
        assert await store.requests(Filter(), 10) == [record]
        assert await store.request(record.id) == record
    assert [line.__dict__["record"] for line in caplog.records] == [record.id] * 2


async def test_another_process_may_look_at_the_database_at_any_time(path: str) -> None:
    look = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT * FROM records').fetchall()"
    async with opened(path) as store:
        await store.append([plain(0)])
        await store.requests(Filter(), 1000)
        await store.cache_put("key", b"answer", 60.0)
        log = os.stat(path + "-wal")
        for looked_at, query in ((path, look), (path + ".cache", look.replace("records", "answers"))):
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", query, looked_at)
            assert await process.wait() == 0
        assert os.path.samestat(log, os.stat(path + "-wal"))
        assert os.stat(path + ".cache-wal").st_nlink == 1
        await store.append([plain(1)])
    async with opened(path) as store:
        assert len(await store.requests(Filter(), 1000)) == 2


async def test_a_database_that_is_removed_is_begun_anew(path: str, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(path) as store:
        await store.append([plain(0)])
        assert len(await store.requests(Filter(), 10)) == 1
        shutil.rmtree(os.path.dirname(path))
        await store.append([plain(1)])
        assert [record.id for record in await store.requests(Filter(), 10)] == [plain(1).id]
        assert store.trouble() is None
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT count(*) FROM requests").fetchone() == (1,)
    told = "the database was removed or replaced: going on with what is there now"
    assert [line.message for line in caplog.records] == [told] * 2


async def test_a_database_that_is_removed_begins_anew_after_trouble(path: str) -> None:
    async with opened(path) as store:
        with closing(sqlite3.connect(path)) as other:
            other.execute("DROP TABLE requests")
        with pytest.raises(StoreUnavailable, match="no such table"):
            await store.append([plain(0)])


async def unanswered(message: bytes) -> bytes:
    raise StoreUnavailable(errno.ECONNREFUSED, "nobody there")


def garble(path: str) -> None:
    """Overwrite the middle of the database, and the cache."""
    with open(path, "r+b") as file:
        file.seek(Path(path).stat().st_size // 2)
        file.write(b"\xff" * 8192 * 3)
    Path(f"{path}.cache").write_bytes(b"nonsense" * 1000)


def garble_values(cache: str) -> None:
    """Overwrite the second half of it, where the later answers are."""
    with open(cache, "r+b") as file:
        half = Path(cache).stat().st_size // 2
        file.seek(half)
        file.write(b"\xff" * half)


async def test_workers_share_what_the_supervisor_keeps(path: str) -> None:
    limits = Limits(requests=5)
    async with opened(path, Site(supervises=True, workers=2)) as supervisor:

        def site(name: str) -> Site:
            return Site(holder=name, workers=2, ask=lambda message: supervisor.answer(name, message))

        async with opened(path, site("a")) as one, opened(path, site("b")) as other:
            await asyncio.gather(one.append([plain(0), plain(1)]), other.append([plain(1), plain(2)]))
            assert await other.requests(Filter(), 10) == [plain(2), plain(1), plain(0)]
            meters = [(store, store.meter("key:p/k", limits)) for store in (one, other)]
            answers = [await store.reserve(meter, 0) for _ in range(5) for store, meter in meters]
            assert sum(not isinstance(answer, Refusal) for answer in answers) <= 5
        supervisor.lost("a")
