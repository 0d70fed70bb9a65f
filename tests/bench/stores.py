"""The table of stores: what a request costs with each of them, and with one worker or two."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

from tests.bench import nginx
from tests.bench.config import Shape
from tests.bench.redis import redis
from tests.bench.requests import once
from tests.bench.runs import Numbers, Row, compare, medians
from tests.bench.table import show
from tests.bench.target import Plan, gateway
from tests.bench.work import works
from tests.bench.wrk import saturate

RATE = 2000
_WARM_SECONDS = 25
"""Longer than limits rest between two exchanges: else none would fall into what is measured."""
_COLUMNS = {
    "server": "store, workers",
    "us": "µs/request",
    "ratio": "× memory",
    "workers": "× one worker",
    "per_second": "requests/s",
    "paced_us": "µs at 2,000/s",
    "more": "more than memory",
    "paced_workers": "× one worker there",
    "p50": "p50 ms",
    "p99": "p99 ms",
}


async def measure(plan: Plan) -> list[Row]:
    """Measure, print and return the table. All workers share the one core."""
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(nginx.mock(plan.folder))
        address = await stack.enter_async_context(redis(plan.folder))
        shapes = {
            "memory, 1": Shape(),
            **{
                f"{name}, {workers}": Shape(store=store, workers=workers)
                for name, store in (("file", "file"), ("redis", address))
                for workers in (1, 2)
            },
        }
        measures: dict[str, Callable[[], Awaitable[Numbers]]] = {
            name: partial(_alone, upstream, shape, plan) for name, shape in shapes.items()
        }
        rows = compare("1 KB", await medians(plan.runs, "stores", measures), base="memory, 1")
    for row in rows:
        paced, memory = row.get("paced_us"), rows[0].get("paced_us")
        if isinstance(paced, float) and isinstance(memory, float):
            row["more"] = paced - memory
    for one, two in (rows[1:3], rows[3:5]):
        for name, ratio in (("us", "workers"), ("paced_us", "paced_workers")):
            with_one, with_two = one.get(name), two.get(name)
            if isinstance(with_one, float) and isinstance(with_two, float):
                two[ratio] = with_two / with_one
    print(show("Stores", list(_COLUMNS.values()), [[row.get(name) for name in _COLUMNS] for row in rows]))
    return rows


async def _alone(upstream: int, shape: Shape, plan: Plan) -> Numbers:
    """As `once`, of a gateway just started, when the leases of its limits have settled. Others that only wait
    would have a share in the core: there are none."""
    async with gateway(upstream, plan, shape) as target:
        await saturate(target, works()[0], shape.clients, _WARM_SECONDS, plan.folder)
        return await once(target, works()[0], shape, plan, RATE)
