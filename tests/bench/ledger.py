"""How fast the file store answers over many usage records: ``python -m tests.bench.ledger [RECORDS]``."""

from __future__ import annotations

import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from gateway.api import Attempt, Filter, Record
from gateway_stores import file_ledger, file_totals
from gateway_stores.file_repair import make_ready
from gateway_stores.file_schema import connect

DAY = 86_400.0
DAYS = 30
BATCH = 200
REPEATS = 5


def records(count: int, end: float) -> Iterator[Record]:
    """As many records spread evenly over `DAYS`, of 20 clients, 6 keys of 3 providers, and 9 models."""
    chance = random.Random(1)
    for number in range(count):
        when = end - DAYS * DAY * (1 - number / count)
        key = chance.randrange(6)
        model = f"model-{key % 3}-{chance.randrange(3)}"
        failed = chance.random() < 0.01
        yield Record(
            time=when,
            config_version="0123456789ab",
            request_id=f"{chance.getrandbits(128):032x}",
            client=f"client-{chance.randrange(20)}",
            operation="chat",
            alias="smart",
            provider=f"provider-{key % 3}",
            key=f"k-{key}",
            model=model,
            status=502 if failed else 200,
            error="upstream_error" if failed else None,
            attempts=[Attempt(f"provider-{key % 3}", f"k-{key}", model, 200, "ok", 812.5)],
            input_tokens=chance.randrange(4000),
            output_tokens=chance.randrange(1000),
            cost_nano_usd=chance.randrange(10**8),
            first_token_ms=chance.random() * 1000,
            total_ms=chance.random() * 20_000,
        )


def fill(connection: sqlite3.Connection, count: int, end: float) -> float:
    """Append them in batches; the seconds that took, less what making them took."""
    took, batch = 0.0, []
    for number, record in enumerate(records(count, end), 1):
        batch.append(record)
        if len(batch) == BATCH or number == count:
            begun = time.perf_counter()
            file_ledger.append(connection, batch)
            took += time.perf_counter() - begun
            batch = []
    return took


def best_ms(work: Callable[[], object]) -> float:
    """The quickest of some runs."""
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times) * 1000


def main(count: int) -> None:
    end = 1_760_000_000.0 // 60 * 60
    month = Filter(end - DAYS * DAY + 1.5, end - 1.5)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "ledger.db")
        make_ready(path)
        with closing(connect(path)) as connection:
            took = fill(connection, count, end)
            print(f"append, batches of {BATCH}: {count / took:,.0f} records a second")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            print(f"size: {Path(path).stat().st_size / count:,.0f} bytes a record")
            middle = Filter(end - 15 * DAY, end - 14 * DAY, client="client-7", key="k-3")
            for name, work in {
                "newest page of 50": lambda: file_ledger.requests(connection, Filter(), 50, None),
                "page of one client": lambda: file_ledger.requests(
                    connection, Filter(client="client-7"), 50, None
                ),
                "page of one client and key, a day of 15 days ago": lambda: file_ledger.requests(
                    connection, middle, 50, None
                ),
                "page of failures": lambda: file_ledger.requests(connection, Filter(status=5), 50, None),
                "page that matches nothing": lambda: file_ledger.requests(
                    connection, Filter(slower_than_ms=1e9), 50, None
                ),
                "totals of 30 days": lambda: file_totals.totals(connection, month, []),
                "totals of 30 days by client": lambda: file_totals.totals(connection, month, ["client"]),
                "totals of 30 days by all four": lambda: file_totals.totals(
                    connection, month, ["client", "provider", "key", "model"]
                ),
                "series of 30 days by the hour": lambda: file_totals.series(
                    connection, Filter(end - DAYS * DAY, end), 3600.0
                ),
                "series of 6 hours by the minute": lambda: file_totals.series(
                    connection, Filter(end - DAY / 4, end), 60.0
                ),
                "prune 2000 records": lambda: file_ledger.prune(connection, end - 20 * DAY, 0.0),
            }.items():
                print(f"{name}: {best_ms(work):.1f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
