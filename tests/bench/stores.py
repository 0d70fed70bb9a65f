"""The table of stores: what a request costs with each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from tests.bench import nginx
from tests.bench.config import Shape
from tests.bench.measure import SERVER_CORE
from tests.bench.redis import redis
from tests.bench.requests import once
from tests.bench.runs import Numbers, Row, compare, medians
from tests.bench.table import show
from tests.bench.target import Plan, Target, gateway
from tests.bench.work import works
from tests.bench.wrk import saturate

RATE = 2000
_WARM_SECONDS = 25
"""Longer than limits rest between two exchanges: else none would fall into what is measured."""
_COLUMNS = {
    "server": "store",
    "us": "µs/request",
    "ratio": "× memory",
    "per_second": "requests/s",
    "paced_us": "µs at 2,000/s",
    "more": "more than memory",
    "p50": "p50 ms",
    "p99": "p99 ms",
}


async def measure(plan: Plan) -> list[Row]:
    """Measure, print and return the table."""
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(nginx.mock(plan.folder))
        address = await stack.enter_async_context(redis(plan.folder))
        stores = {"memory": "memory", "file": "file", "redis": address}
        measures: dict[str, Callable[[], Awaitable[Numbers]]] = {
            name: partial(alone, upstream, Shape(store=store), plan) for name, store in stores.items()
        }
        rows = compare("1 KB", await medians(plan.runs, "stores", measures), base="memory")
    for row in rows:
        paced, memory = row.get("paced_us"), rows[0].get("paced_us")
        if isinstance(paced, float) and isinstance(memory, float):
            row["more"] = paced - memory
    print(show("Stores", list(_COLUMNS.values()), [[row.get(name) for name in _COLUMNS] for row in rows]))
    return rows


async def alone(upstream: int, shape: Shape, plan: Plan) -> Numbers:
    """As `once`, of a gateway that is the only one: others that only wait would have a share in the core."""
    async with settled(upstream, plan, shape) as target:
        return await once(target, works()[0], shape, plan, RATE)


@asynccontextmanager
async def settled(
    upstream: int, plan: Plan, shape: Shape, cores: Sequence[str] = SERVER_CORE
) -> AsyncIterator[Target]:
    """As `gateway`, once the leases of its limits have settled."""
    async with gateway(upstream, plan, shape, cores=cores) as target:
        await saturate(target, works()[0], shape.clients, _WARM_SECONDS, plan.folder)
        yield target
