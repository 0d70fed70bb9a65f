"""Cached answers of the file store, where clocks differ."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from gateway_stores.file_cache import AHEAD, connect_cache, get, put

BOUNDS = (10, 10**6)
HOUR = 3600.0
NOW = 1_800_000_000.0


def test_what_was_kept_by_a_clock_that_was_ahead_is_not_given_for_an_hour(tmp_path: Path) -> None:
    with closing(connect_cache(str(tmp_path / "cache"))) as connection:
        put(connection, "k", b"old", NOW + HOUR, expires=NOW + HOUR + 10, bounds=BOUNDS)
        assert get(connection, "k", NOW + HOUR) == b"old"
        assert get(connection, "k", NOW) is None
        put(connection, "k", b"new", NOW, expires=NOW + 10, bounds=BOUNDS)
        assert get(connection, "k", NOW) == b"new"
        assert get(connection, "k", NOW - AHEAD / 2) == b"new"
        assert get(connection, "k", NOW + HOUR) is None
