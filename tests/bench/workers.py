"""The table of workers: what a request costs with one and with two, on all cores and on a single one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial

from tests.bench import nginx
from tests.bench.config import Shape
from tests.bench.measure import SERVER_CORE
from tests.bench.redis import redis
from tests.bench.runs import Numbers, Row, medians
from tests.bench.stores import alone
from tests.bench.table import show
from tests.bench.target import Plan

_CORES: Mapping[str, Sequence[str]] = {"all cores": (), "one core": SERVER_CORE}
_WORKERS = (1, 2)
_RATE_EACH = 1000
"""Of each worker: the less there is to do at once, the dearer is each request, in one process as in two."""
_COLUMNS = {
    "server": "store, cores, workers",
    "us": "µs/request",
    "ratio": "× one worker",
    "per_second": "requests/s",
    "paced_us": "µs at 1,000/s each",
    "paced_ratio": "× one worker there",
    "p50": "p50 ms",
    "p99": "p99 ms",
}


async def measure(plan: Plan) -> list[Row]:
    """Measure, print and return the table. Load and upstream have one core, which is one of all."""
    rows: list[Row] = []
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(nginx.mock(plan.folder))
        address = await stack.enter_async_context(redis(plan.folder))
        for store, where in (("file", "file"), ("redis", address)):
            for cores, prefix in _CORES.items():
                measures: dict[str, Callable[[], Awaitable[Numbers]]] = {
                    f"{store}, {cores}, {workers}": partial(
                        alone,
                        upstream,
                        Shape(store=where, workers=workers),
                        plan,
                        _RATE_EACH * workers,
                        prefix,
                    )
                    for workers in _WORKERS
                }
                rows += _compared(await medians(plan.runs, "workers", measures))
    print(show("Workers", list(_COLUMNS.values()), [[row.get(name) for name in _COLUMNS] for row in rows]))
    return rows


def _compared(seen: Mapping[str, Numbers]) -> list[Row]:
    """A row for each, with its ratios to the first."""
    rows: list[Row] = [{"server": name, **numbers} for name, numbers in seen.items()]
    first = next(iter(seen.values()))
    for row, numbers in zip(rows[1:], list(seen.values())[1:], strict=True):
        if first and numbers:
            row["ratio"] = numbers["us"] / first["us"]
            row["paced_ratio"] = numbers["paced_us"] / first["paced_us"]
    return rows
