"""The table of workers: what a request costs with one and with two, on all cores and on a single one.

As a control, two gateways that know nothing of each other: what two processes cost each other by being two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

from tests.bench import nginx
from tests.bench.config import Shape
from tests.bench.measure import SERVER_CORE
from tests.bench.redis import redis
from tests.bench.requests import RATE, once, paced
from tests.bench.runs import Numbers, Row, medians
from tests.bench.stores import settled
from tests.bench.table import show
from tests.bench.target import Plan, gateway
from tests.bench.work import works

_CORES: Mapping[str, Sequence[str]] = {"all cores": (), "one core": SERVER_CORE}
_WORK = works()[0]
_COLUMNS = {
    "server": "store, cores, workers",
    "us": "µs/request",
    "ratio": "× one",
    "per_second": "requests/s",
    "each_us": "µs at 1,000/s each",
    "each_ratio": "× one there",
    "total_us": "µs at 2,000/s in all",
    "total_ratio": "× one there",
    "p99": "p99 ms",
}


async def measure(plan: Plan) -> list[Row]:
    """Measure, print and return the table. Load and upstream have one core, which is one of all."""
    rows: list[Row] = []
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(nginx.mock(plan.folder))
        address = await stack.enter_async_context(redis(plan.folder))
        for name, prefix in _CORES.items():
            for store, where in (("file", "file"), ("redis", address)):
                shape = Shape(store=where)
                rows += await _compared(
                    plan,
                    {
                        f"{store}, {name}, 1": partial(_one, upstream, plan, shape, prefix),
                        f"{store}, {name}, 2": partial(_two, upstream, plan, shape, prefix),
                    },
                )
            rows += await _compared(
                plan,
                {
                    f"memory, {name}, 1": partial(_one, upstream, plan, Shape(), prefix),
                    f"memory, {name}, 1 and 1": partial(_strangers, upstream, plan, prefix),
                },
            )
    print(show("Workers", list(_COLUMNS.values()), [[row.get(name) for name in _COLUMNS] for row in rows]))
    return rows


async def _one(upstream: int, plan: Plan, shape: Shape, cores: Sequence[str]) -> Numbers:
    """One worker, with as much to do as each of two has, and with as much as both have."""
    async with settled(upstream, plan, shape, cores) as target:
        numbers = await once(target, _WORK, shape, plan, 2 * RATE)
        each = await paced(target, _WORK, shape, plan, RATE)
    return {**numbers, "each_us": each["paced_us"], "total_us": numbers["paced_us"]}


async def _two(upstream: int, plan: Plan, shape: Shape, cores: Sequence[str]) -> Numbers:
    async with settled(upstream, plan, replace(shape, workers=2), cores) as target:
        numbers = await once(target, _WORK, shape, plan, 2 * RATE)
    return {**numbers, "each_us": numbers["paced_us"], "total_us": numbers["paced_us"]}


async def _strangers(upstream: int, plan: Plan, cores: Sequence[str]) -> Numbers:
    """Two gateways at once, each with half of the load; the store is the one that needs no other process."""
    async with AsyncExitStack() as stack:
        measures = []
        for name in ("left", "right"):
            apart = replace(plan, folder=plan.folder / name)
            apart.folder.mkdir(exist_ok=True)
            target = await stack.enter_async_context(gateway(upstream, apart, Shape(), cores=cores))
            measures.append(once(target, _WORK, Shape(), apart, RATE))
        left, right = await asyncio.gather(*measures)
    both = {name: (left[name] + right[name]) / 2 for name in left}
    both["per_second"] *= 2
    return {**both, "each_us": both["paced_us"], "total_us": both["paced_us"]}


async def _compared(plan: Plan, measures: Mapping[str, Callable[[], Awaitable[Numbers]]]) -> list[Row]:
    """A row for each, with the ratios of the second to the first."""
    seen = await medians(plan.runs, "workers", measures)
    rows: list[Row] = [{"server": name, **numbers} for name, numbers in seen.items()]
    one, two = seen.values()
    if one and two:
        for ratio, name in (("ratio", "us"), ("each_ratio", "each_us"), ("total_ratio", "total_us")):
            rows[1][ratio] = two[name] / one[name]
    return rows
