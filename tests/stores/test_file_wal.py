"""A damaged write-ahead log: what SQLite drops of it without a word is kept aside, and said."""

from __future__ import annotations

import logging
import random
from contextlib import closing
from pathlib import Path

import pytest

from gateway.api import Filter
from gateway.api.testing.ledger import plain
from gateway_stores import file_ledger
from gateway_stores.file_repair import make_ready
from gateway_stores.file_schema import PAGE_BYTES, connect

RECORDS = 60
HEADER = 32
FRAME = 24 + PAGE_BYTES


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Database and log as a process leaves them that is killed. The log was begun anew once: at its end is
    what is left of the earlier one."""
    path = str(tmp_path_factory.mktemp("killed") / "store.db")
    make_ready(path)
    with closing(connect(path)) as connection:
        for number in range(2 * RECORDS):
            file_ledger.append(connection, [plain(10_000 + number)])
        connection.execute("PRAGMA wal_checkpoint(RESTART)")
        for number in range(RECORDS):
            file_ledger.append(connection, [plain(20_000 + number)])
        return Path(path).read_bytes(), Path(f"{path}-wal").read_bytes()


def started(path: Path, killed: tuple[bytes, bytes], wal: bytes) -> tuple[bool, int, list[Path]]:
    """Whether all was sound, how many records are left of those in the log, and what was kept aside."""
    path.write_bytes(killed[0])
    Path(f"{path}-wal").write_bytes(wal)
    sound = make_ready(str(path))
    with closing(connect(str(path))) as connection:
        left = len(file_ledger.requests(connection, Filter(plain(20_000).time), 1000, None))
    return sound, left, list(path.parent.glob(f"{path.name}-wal.corrupt-*"))


def frames(wal: bytes) -> int:
    """How many of the log are not of an earlier one."""
    salts = wal[16:24]
    return sum(wal[at + 8 : at + 16] == salts for at in range(HEADER, len(wal), FRAME))


def test_a_log_is_taken_as_it_is_where_it_just_ends(killed: tuple[bytes, bytes], tmp_path: Path) -> None:
    wal = killed[1]
    end = HEADER + frames(wal) * FRAME
    assert end < len(wal)
    assert started(tmp_path / "whole", killed, wal) == (True, RECORDS, [])
    for length in (0, 10, HEADER, HEADER + 5, end - FRAME, end - 7, end):
        sound, _, asides = started(tmp_path / f"{length}", killed, wal[:length])
        assert (sound, asides) == (True, []), length


def test_any_byte_of_the_log_may_be_wrong(
    killed: tuple[bytes, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chance, wal = random.Random(1), killed[1]
    transactions = HEADER + (frames(wal) - 12) * FRAME
    for offset in (*range(0, HEADER + 24, 3), *(chance.randrange(transactions) for _ in range(20))):
        damaged = bytearray(wal)
        damaged[offset] ^= 1 << chance.randrange(8)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            sound, left, [aside] = started(tmp_path / f"{offset}", killed, bytes(damaged))
        assert not sound and left < RECORDS, offset
        assert aside.read_bytes() == damaged
        assert aside.stat().st_mode & 0o777 == 0o600
        [line] = caplog.records
        assert line.__dict__["copied_to"] == str(aside)
        assert 0 < line.__dict__["transactions"] <= RECORDS
