"""The table of requests: what one costs, saturated and at 1,000 a second, beside nginx."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

from tests.bench import nginx
from tests.bench.config import Shape
from tests.bench.load import Spec
from tests.bench.measure import percentile
from tests.bench.runs import Numbers, Row, compare, medians, with_added
from tests.bench.table import show
from tests.bench.target import Plan, Target, bare, gateway, generate
from tests.bench.work import Work, works
from tests.bench.wrk import saturate

RATE = 1000
_COLUMNS = {
    "what": "request",
    "server": "server",
    "us": "µs/request",
    "ratio": "× nginx",
    "per_second": "requests/s",
    "paced_us": "µs at 1,000/s",
    "p50": "p50 ms",
    "p99": "p99 ms",
    "added_p50": "added p50",
    "added_p99": "added p99",
}


async def measure(plan: Plan) -> list[Row]:
    """Measure, print and return the table."""
    shape, rows = Shape(), list[Row]()
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(nginx.mock(plan.folder))
        targets = [
            await stack.enter_async_context(bare(upstream, plan.folder)),
            await stack.enter_async_context(gateway(upstream, plan, shape)),
        ]
        for work in works():
            measures: dict[str, Callable[[], Awaitable[Numbers]]] = {
                target.name: partial(once, target, work, shape, plan) for target in targets
            }
            seen = await medians(plan.runs, work.name, measures)
            rows += with_added(compare(work.name, seen))
    print(show("Requests", list(_COLUMNS.values()), [[row.get(name) for name in _COLUMNS] for row in rows]))
    return rows


async def once(target: Target, work: Work, shape: Shape, plan: Plan, rate: int = RATE) -> Numbers:
    """What one request costs as fast as answers come, and at a fixed ``rate`` a second."""
    full = await saturate(target, work, shape.clients, plan.seconds, plan.folder)
    return {
        "us": full.cpu_us,
        "per_second": full.per_second,
        **await paced(target, work, shape, plan, rate),
    }


async def paced(target: Target, work: Work, shape: Shape, plan: Plan, rate: int) -> Numbers:
    """What one request costs, and how long it takes, at a fixed ``rate`` a second."""
    spec = Spec("rate", target.port, target.pid, target.path(work), work.body.decode(), shape.clients)
    calm = await generate(spec.at(rate=rate, seconds=plan.seconds))
    return {
        "paced_us": calm.cpu / calm.requests * 1e6,
        "p50": percentile(calm.latencies, 0.5),
        "p99": percentile(calm.latencies, 0.99),
    }
