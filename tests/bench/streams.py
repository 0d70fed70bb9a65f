"""The table of streams: what an event costs, paced and in bursts, the first one's delay, idle memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

from tests.bench.config import Shape
from tests.bench.load import Result, Spec
from tests.bench.measure import percentile
from tests.bench.mock import DATA_LINES
from tests.bench.runs import Numbers, Row, compare, medians, with_added
from tests.bench.table import show
from tests.bench.target import Plan, Target, bare, gateway, generate, stream_mock
from tests.bench.work import streaming

_BURST_CONNECTIONS = 16
_FIRST_RATE = 200
_COLUMNS = {
    "what": "streams",
    "server": "server",
    "us": "µs/event",
    "ratio": "× nginx",
    "per_second": "events/s",
    "p50": "first p50 ms",
    "p99": "first p99 ms",
    "added_p50": "added p50",
    "added_p99": "added p99",
    "kb": "KB/stream",
}


async def measure(plan: Plan) -> list[Row]:
    """Measure, print and return the table."""
    rows = list[Row]()
    async with stream_mock() as upstream:
        async with AsyncExitStack() as stack:
            targets = await _pair(stack, upstream, plan)
            for count in (200, 500):
                rows += await _compare(f"{count} × 20/s", plan, targets, partial(_paced, count=count))
            rows += await _compare("bursts of 100", plan, targets, _bursts)
            rows += with_added(await _compare(f"2 events, {_FIRST_RATE}/s", plan, targets, _first))
        for count in (1000, 5000):  # a fresh server each, for what it held before would hide what it takes
            async with AsyncExitStack() as stack:
                targets = await _pair(stack, upstream, plan)
                once = Plan(plan.folder, 1, plan.seconds, plan.control)
                rows += await _compare(f"{count} idle", once, targets, partial(_idle, count=count))
    print(show("Streams", list(_COLUMNS.values()), [[row.get(name) for name in _COLUMNS] for row in rows]))
    return rows


async def _pair(stack: AsyncExitStack, upstream: int, plan: Plan) -> list[Target]:
    return [
        await stack.enter_async_context(bare(upstream, plan.folder, buffering=False)),
        await stack.enter_async_context(gateway(upstream, plan, Shape())),
    ]


async def _compare(
    what: str, plan: Plan, targets: list[Target], once: Callable[[Target, int], Awaitable[Numbers]]
) -> list[Row]:
    measures = {target.name: partial(once, target, plan.seconds) for target in targets}
    return compare(what, await medians(plan.runs, what, measures))


def _spec(kind: str, target: Target, model: str, seconds: int) -> Spec:
    work = streaming(model)
    spec = Spec(kind, target.port, target.pid, target.path(work), work.body.decode(), Shape().clients)
    return spec.at(seconds=seconds, streams=True, data_lines=DATA_LINES.get(model, 0))


def _per_event(result: Result, seconds: float) -> Numbers:
    return {"us": result.cpu / result.events * 1e6, "per_second": result.events / seconds}


async def _paced(target: Target, seconds: int, *, count: int) -> Numbers:
    spec = _spec("paced", target, "mock-paced", seconds)
    return _per_event(await generate(spec.at(count=count)), seconds)


async def _bursts(target: Target, seconds: int) -> Numbers:
    spec = _spec("loop", target, "mock-burst", seconds)
    return _per_event(await generate(spec.at(count=_BURST_CONNECTIONS)), seconds)


async def _first(target: Target, seconds: int) -> Numbers:
    result = await generate(_spec("rate", target, "mock-short", seconds).at(rate=_FIRST_RATE))
    return {"p50": percentile(result.latencies, 0.5), "p99": percentile(result.latencies, 0.99)}


async def _idle(target: Target, seconds: int, *, count: int) -> Numbers:
    result = await generate(_spec("idle", target, "mock-idle", seconds).at(count=count))
    return {"kb": result.rss / result.requests / 1024}
