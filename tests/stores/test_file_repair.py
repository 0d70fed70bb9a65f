"""However a database is damaged: what can be read is kept, and the damaged file set aside."""

from __future__ import annotations

import logging
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.api import Filter, Total
from gateway.api.testing.ledger import plain
from gateway_stores import file_ledger, file_schema, file_totals
from gateway_stores.file_lane import DAMAGED
from gateway_stores.file_repair import make_ready
from gateway_stores.file_schema import PAGE_BYTES, connect

RECORDS = 200
PRUNED = 50
HEADER = 100


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small database: `RECORDS` counted, `PRUNED` of them gone."""
    path = str(tmp_path_factory.mktemp("sound") / "store.db")
    make_ready(path)
    with closing(connect(path)) as connection:
        for minute in range(0, RECORDS, 5):
            file_ledger.append(connection, [plain(minute * 6 + number) for number in range(5)])
        file_ledger.prune(connection, plain(PRUNED * 6).time, 0.0)
    return Path(path).read_bytes()


def left(path: str) -> tuple[int, list[Total]]:
    """How many records there are, and the totals."""
    with closing(connect(path)) as connection:
        found = file_ledger.requests(connection, Filter(), 1000, None)
        totals = file_totals.totals(connection, Filter(), [])
        file_ledger.append(connection, [plain(10**6)])
        assert file_ledger.requests(connection, Filter(), 1, None) == [plain(10**6)]
    return len(found), totals


def asides(path: str) -> list[Path]:
    return list(Path(path).parent.glob("*.corrupt-*"))


def test_a_sound_database_stays_as_it_is(sound: bytes, tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    Path(path).write_bytes(sound)
    make_ready(path)
    records, [total] = left(path)
    assert (records, total.requests) == (RECORDS - PRUNED, RECORDS)
    assert asides(path) == []


@pytest.mark.parametrize(
    "change",
    [
        "CREATE INDEX by_client ON requests(client, time)",
        "CREATE TABLE teams (client TEXT PRIMARY KEY, team TEXT); INSERT INTO teams VALUES ('a', 'b')",
        "CREATE VIEW failures AS SELECT * FROM requests WHERE failed = 1",
        "ANALYZE",
    ],
)
def test_what_others_put_beside_its_tables_stays(sound: bytes, tmp_path: Path, change: str) -> None:
    path = str(tmp_path / "store.db")
    Path(path).write_bytes(sound)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(change)
    assert make_ready(path)
    records, [total] = left(path)
    assert (records, total.requests) == (RECORDS - PRUNED, RECORDS)
    assert make_ready(path)
    assert asides(path) == []


def test_columns_of_others_in_its_tables_are_refused_in_words(sound: bytes, tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    Path(path).write_bytes(sound)
    with closing(sqlite3.connect(path)) as connection:
        for table, column in (("requests", "team TEXT"), ("requests", "floor INT"), ("groups", "team TEXT")):
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
    with pytest.raises(OSError, match="somebody added columns to groups, requests: drop them"):
        make_ready(path)
    assert asides(path) == []
    with closing(sqlite3.connect(path)) as connection:
        for table, column in (("requests", "team"), ("requests", "floor"), ("groups", "team")):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    assert make_ready(path)
    assert left(path)[0] == RECORDS - PRUNED


def test_any_byte_may_be_wrong(sound: bytes, tmp_path: Path) -> None:
    chance = random.Random(1)
    for offset in (*range(0, HEADER, 4), *(chance.randrange(len(sound)) for _ in range(25))):
        path = str(tmp_path / f"{offset}.db")
        damaged = bytearray(sound)
        damaged[offset] ^= 1 << chance.randrange(8)
        Path(path).write_bytes(damaged)
        make_ready(path)
        records, totals = left(path)
        assert records > 0, offset
        if offset < PAGE_BYTES:
            assert (records, totals[0].requests) == (RECORDS - PRUNED, RECORDS), offset
        make_ready(path)


def test_it_may_end_anywhere(sound: bytes, tmp_path: Path) -> None:
    chance = random.Random(2)
    for length in (0, 1, 16, 99, *(chance.randrange(len(sound)) for _ in range(16))):
        path = str(tmp_path / f"{length}.db")
        Path(path).write_bytes(sound[:length])
        make_ready(path)
        left(path)


def test_what_is_set_aside_is_named_once(
    sound: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = str(tmp_path / "store.db")
    damaged = sound[: len(sound) - PAGE_BYTES]
    Path(path).write_bytes(damaged)
    with caplog.at_level(logging.WARNING):
        make_ready(path)
        make_ready(path)
    [aside] = asides(path)
    [line] = caplog.records
    assert (line.__dict__["path"], line.__dict__["moved_to"]) == (path, str(aside))
    assert aside.read_bytes() == damaged
    assert sorted(file.name for file in tmp_path.iterdir()) == ["store.db", aside.name]


def test_totals_of_records_whose_totals_are_lost_are_made_anew(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    make_ready(path)
    with closing(connect(path)) as connection:
        file_ledger.append(connection, [plain(number) for number in range(0, 200, 20)])
        assert connection.execute("DELETE FROM totals").rowcount
    Path(path + DAMAGED).touch()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP INDEX requests_error")
    make_ready(path)
    records, [total] = left(path)
    assert (records, total.requests) == (10, 10)
    assert not Path(path + DAMAGED).exists()


@pytest.mark.parametrize("content", [b"llm_providers: []\n" * 10, b"\0" * 4096])
def test_a_file_of_others_is_left_alone(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(content)
    with pytest.raises(OSError, match=f"^{path}: is not a database of COO-LLM"):
        make_ready(str(path))
    assert path.read_bytes() == content


@pytest.mark.parametrize("harm", ["zeroed", "random", "all"])
def test_a_damaged_head_is_damage_where_windows_of_ours_stand_beside_it(
    harm: str, sound: bytes, tmp_path: Path
) -> None:
    path = str(tmp_path / "store.db")
    bad = {"zeroed": bytes(4096), "random": random.Random(3).randbytes(HEADER), "all": bytes(len(sound))}[
        harm
    ]
    damaged = bad + sound[len(bad) :]
    Path(path).write_bytes(damaged)
    Path(f"{path}.windows").touch()
    make_ready(path)
    assert [aside.read_bytes() for aside in asides(path)] == [damaged]
    records, totals = left(path)
    if harm == "all":
        assert (records, totals) == (0, [])
    else:
        assert (records, totals[0].requests) == (RECORDS - PRUNED, RECORDS)


def test_another_sqlite_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    with pytest.raises(OSError, match="is not a database of COO-LLM"):
        make_ready(str(path))


def test_symbolic_links_are_not_followed(tmp_path: Path) -> None:
    elsewhere, path = tmp_path / "elsewhere", tmp_path / "store.db"
    path.symlink_to(elsewhere)
    with pytest.raises(OSError, match="is a symbolic link"):
        make_ready(str(path))
    assert not elsewhere.exists()


def test_files_are_private(tmp_path: Path) -> None:
    path = tmp_path / "data" / "store.db"
    make_ready(str(path))
    with closing(connect(str(path))):
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_later_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "store.db")
    later = (*file_schema.MIGRATIONS, "CREATE TABLE later (x)")
    monkeypatch.setattr(file_schema, "MIGRATIONS", later)
    make_ready(path)
    monkeypatch.setattr(file_schema, "MIGRATIONS", later[:-1])
    before = Path(path).read_bytes()
    with pytest.raises(OSError, match="later version of COO-LLM"):
        make_ready(path)
    assert Path(path).read_bytes() == before


def has(path: str, name: str) -> bool:
    with closing(connect(path)) as connection:
        found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [name]).fetchone()
    return found is not None


def test_a_database_with_an_index_of_times_is_migrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "store.db")
    with monkeypatch.context() as earlier:
        earlier.setattr(file_schema, "MIGRATIONS", file_schema.MIGRATIONS[:2])
        make_ready(path)
        assert has(path, "requests_time")
        with closing(connect(path)) as connection:
            file_ledger.append(connection, [plain(second) for second in (0, 59, 60, 100)])
    make_ready(path)
    assert not has(path, "requests_time")
    records, [total] = left(path)
    assert (records, total.requests) == (4, 4)
    assert asides(path) == []


def test_an_earlier_version_is_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "store.db")
    make_ready(path)
    with closing(connect(path)) as connection:
        file_ledger.append(connection, [plain(0)])
    later = (*file_schema.MIGRATIONS, "ALTER TABLE meta ADD COLUMN note TEXT; CREATE TABLE later (x INT)")
    monkeypatch.setattr(file_schema, "MIGRATIONS", later)
    make_ready(path)
    with closing(connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM later").fetchone() == (0,)
        assert file_ledger.requests(connection, Filter(), 10, None) == [plain(0)]
    assert asides(path) == []
