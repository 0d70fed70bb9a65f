"""Cached answers of the file store: bounds, upgrades, and clocks that differ."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_stores import file_cache
from gateway_stores.file_cache import AHEAD, AT_ONCE, connect_cache, get, prune, put
from gateway_stores.file_schema import make_private, open_wal

BOUNDS = (10, 10**6)
WIDE = (10**6, 10**9)
HOUR = 3600.0
NOW = 1_800_000_000.0


def fill(connection: sqlite3.Connection, entries: int, lasting: float) -> None:
    for number in range(entries):
        put(connection, f"key-{number}", b"value", NOW, expires=NOW + lasting, bounds=WIDE)


def kept(connection: sqlite3.Connection) -> int:
    """How many there are, expired or not."""
    return int(connection.execute("SELECT count(*) FROM answers").fetchone()[0])


def test_what_was_kept_by_a_clock_that_was_ahead_is_not_given_for_an_hour(tmp_path: Path) -> None:
    with closing(connect_cache(str(tmp_path / "cache"))) as connection:
        put(connection, "k", b"old", NOW + HOUR, expires=NOW + HOUR + 10, bounds=BOUNDS)
        assert get(connection, "k", NOW + HOUR) == b"old"
        assert get(connection, "k", NOW) is None
        put(connection, "k", b"new", NOW, expires=NOW + 10, bounds=BOUNDS)
        assert get(connection, "k", NOW) == b"new"
        assert get(connection, "k", NOW - AHEAD / 2) == b"new"
        assert get(connection, "k", NOW + HOUR) is None


@contextmanager
def steps(connection: sqlite3.Connection) -> Iterator[list[int]]:
    """What SQLite did meanwhile, in steps of its virtual machine: one number, at the end."""
    told, counted = list[int](), count()
    connection.set_progress_handler(lambda: next(counted) < 0, 1)
    yield told
    connection.set_progress_handler(None, 1)
    told.append(next(counted))


def test_keeping_one_takes_no_longer_where_there_are_many(tmp_path: Path) -> None:
    taken = []
    for entries in (50, 2000):
        with closing(connect_cache(str(tmp_path / f"{entries}"))) as connection:
            fill(connection, entries, HOUR)
            with steps(connection) as told:
                put(connection, "new", b"value", NOW, expires=NOW + HOUR, bounds=(entries, 10**9))
            assert kept(connection) == entries
            taken += told
    assert taken[1] < 2 * taken[0]


def test_the_expired_go_a_little_at_a_time(tmp_path: Path) -> None:
    with closing(connect_cache(str(tmp_path / "cache"))) as connection:
        fill(connection, 3 * AT_ONCE, 60.0)
        left = []
        for number in range(4):
            put(connection, f"new-{number}", b"v", NOW + 60, expires=NOW + HOUR, bounds=WIDE)
            left.append(kept(connection))
        assert left == [2 * AT_ONCE + 1, AT_ONCE + 2, 3, 4]


def test_the_expired_go_before_any_other_where_there_are_too_many(tmp_path: Path) -> None:
    with closing(connect_cache(str(tmp_path / "cache"))) as connection:
        put(connection, "oldest", b"v", NOW, expires=NOW + HOUR, bounds=WIDE)
        fill(connection, 3 * AT_ONCE, 60.0)
        put(connection, "newest", b"v", NOW + 60, expires=NOW + HOUR, bounds=(2, 10**9))
        assert kept(connection) == 2
        assert get(connection, "oldest", NOW + 60) == get(connection, "newest", NOW + 60) == b"v"


def test_nothing_of_the_expired_is_left_in_the_files(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    with closing(connect_cache(str(path))) as connection:
        for number in range(AT_ONCE + 1):
            value = b"secret %d " % number * (2000 if number % 2 else 1)
            put(connection, f"key-{number}", value, NOW, expires=NOW + 60, bounds=WIDE)
        put(connection, "lasting", b"lasting", NOW, expires=NOW + HOUR, bounds=WIDE)
        assert [prune(connection, NOW + 60) for _ in range(2)] == [True, False]
        files = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert b"secret" not in files
        assert b"lasting" in files
        assert get(connection, "lasting", NOW + 60) == b"lasting"


class Answer(NamedTuple):
    value: bytes
    expires: float


class Model:
    """The same, said simply: a dictionary whose oldest entry comes first."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}

    def put(self, key: str, answer: Answer, now: float, bounds: tuple[int, int]) -> None:
        self.answers.pop(key, None)
        self.answers = self.living(now) | {key: answer}
        while (
            len(self.answers) > bounds[0] or sum(len(one.value) for one in self.answers.values()) > bounds[1]
        ):
            del self.answers[next(iter(self.answers))]

    def living(self, now: float) -> dict[str, Answer]:
        return {key: answer for key, answer in self.answers.items() if answer.expires > now}


KEYS = "abcdef"
ACTIONS = st.tuples(
    st.sampled_from([0, 1]),
    st.sampled_from(KEYS),
    st.integers(0, 9),
    st.floats(0.25, 8.0, width=16),
    st.sampled_from([(100, 100), (4, 100), (100, 20), (1, 5), (0, 0)]),
    st.sampled_from([0.0, 0.25, 2.0, 9.0]),
)
"""Which connection, key, bytes, seconds to keep them, bounds, seconds until the next."""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[sqlite3.Connection, sqlite3.Connection]]:
    """Two connections to one cache of which two expired answers go at once."""
    path = str(tmp_path_factory.mktemp("both") / "cache")
    with (
        pytest.MonkeyPatch.context() as patch,
        closing(connect_cache(path)) as one,
        closing(connect_cache(path)) as other,
    ):
        patch.setattr(file_cache, "AT_ONCE", 2)
        yield one, other


@given(st.lists(ACTIONS, max_size=30))
def test_it_keeps_what_it_must_and_no_more_than_it_may(
    both: tuple[sqlite3.Connection, sqlite3.Connection],
    actions: list[tuple[int, str, int, float, tuple[int, int], float]],
) -> None:
    model, now = Model(), NOW
    both[0].execute("DELETE FROM answers")
    for which, key, size, seconds, bounds, pause in actions:
        answer = Answer(b"v" * size, now + seconds)
        put(both[which], key, answer.value, now, expires=answer.expires, bounds=bounds)
        model.put(key, answer, now, bounds)
        [there] = both[0].execute("SELECT count(*), coalesce(sum(bytes), 0) FROM answers")
        assert both[1].execute("SELECT entries, bytes FROM sums").fetchall() == [there]
        assert there[0] <= bounds[0]
        assert there[1] <= bounds[1]
        now += pause
        for connection in both:
            found = {key: value for key in KEYS if (value := get(connection, key, now)) is not None}
            assert found == {key: answer.value for key, answer in model.living(now).items()}


def earlier(path: str) -> None:
    """A cache of the first version, with an answer in it."""
    make_private(path)
    with closing(open_wal(path)) as connection:
        connection.executescript(
            """CREATE TABLE answers (
                number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, kept REAL NOT NULL,
                expires REAL NOT NULL, bytes INTEGER NOT NULL, value BLOB NOT NULL
            ) STRICT;
            CREATE INDEX answers_expires ON answers(expires);
            CREATE INDEX answers_bytes ON answers(bytes);
            PRAGMA user_version = 1"""
        )
        row = ["k", NOW, NOW + HOUR, 3, b"old"]
        connection.execute(
            "INSERT INTO answers (key, kept, expires, bytes, value) VALUES (?, ?, ?, ?, ?)", row
        )


def test_an_earlier_cache_is_gone_on_with(tmp_path: Path) -> None:
    path = str(tmp_path / "cache")
    earlier(path)
    with closing(connect_cache(path)) as connection:
        assert get(connection, "k", NOW) == b"old"
        put(connection, "l", b"new", NOW, expires=NOW + HOUR, bounds=(1, 100))
        assert (get(connection, "k", NOW), get(connection, "l", NOW)) == (None, b"new")
    with closing(connect_cache(path)) as connection:
        assert connection.execute("SELECT entries, bytes FROM sums").fetchall() == [(1, 3)]


@pytest.mark.parametrize("damage", ["DROP TABLE answers", "DROP TABLE sums", "PRAGMA user_version = 1"])
def test_one_that_is_not_as_it_should_be_is_begun_anew(damage: str, tmp_path: Path) -> None:
    path = str(tmp_path / "cache")
    with closing(connect_cache(path)) as connection:
        fill(connection, 5, HOUR)
        connection.execute(damage)
    with closing(connect_cache(path)) as connection:
        assert kept(connection) == 0
        put(connection, "k", b"v", NOW, expires=NOW + HOUR, bounds=BOUNDS)
        assert get(connection, "k", NOW) == b"v"


def test_a_damaged_one_is_begun_anew_once_whoever_come_together(tmp_path: Path) -> None:
    for number in range(20):
        path = tmp_path / f"{number}"
        path.write_bytes(b"nonsense" * 1000)
        with ThreadPoolExecutor(4) as threads:
            connections = list(threads.map(connect_cache, [str(path)] * 4))
        for which, connection in enumerate(connections):
            put(connection, f"key-{which}", b"v", NOW, expires=NOW + HOUR, bounds=BOUNDS)
        assert [kept(connection) for connection in connections] == [4] * 4
        for connection in connections:
            connection.close()
