"""The table of workers: what a request costs with one and with two, on all cores and on a single one.

As a control, two gateways that know nothing of each other: what two processes cost each other by being two.
What is compared runs all the time and is measured by turns, so that a ratio is of two figures of one moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from statistics import mean, median
from tempfile import mkdtemp
from typing import NamedTuple

from tests.bench import nginx
from tests.bench.config import Shape
from tests.bench.measure import SERVER_CORE, Void
from tests.bench.redis import redis
from tests.bench.requests import paced
from tests.bench.runs import Row
from tests.bench.stores import settled
from tests.bench.table import show
from tests.bench.target import Plan, Target
from tests.bench.work import works
from tests.bench.wrk import CONNECTIONS, saturate

_CORES: Mapping[str, Sequence[str]] = {"all": (), "one": SERVER_CORE}
_COMPARED = {"file": (2, 1), "redis": (2, 1), "memory": (1, 2)}
"""By store, how many workers and gateways one of each is compared with. The last is the control."""
_WORK = works()[0]
_DRAWS = 4000
_FULL = 0
"""In place of a rate: as fast as answers come."""
_WARM_SECONDS = 4
"""Before each turn: in the other's turn leases have lapsed."""
_PACES = {_FULL: "saturated", 1000: "1,000/s in all", 2000: "2,000/s in all"}
_COLUMNS = {
    "server": "store, cores, pace",
    "one": "µs with one",
    "two": "µs with two",
    "ratio": "two × one",
    "low": "from",
    "high": "to",
    "one_per_second": "requests/s, one",
    "two_per_second": "requests/s, two",
}


class _Cost(NamedTuple):
    us: float
    per_second: float


@dataclass(frozen=True, slots=True)
class _Side:
    """What is compared with another: a gateway, or some that share the load and nothing else."""

    targets: Sequence[tuple[Target, Plan]]
    shape: Shape

    async def costs(self, what: str, seconds: int) -> dict[int, _Cost]:
        """What a request costs at each pace. A void measurement is reported and left out."""
        found = {}
        with suppress(Void):
            await self._cost(_FULL, _WARM_SECONDS)
        for pace, name in _PACES.items():
            try:
                found[pace] = await self._cost(pace, seconds)
            except Void as why:
                print(f"void: workers, {what}, {name}: {why}", flush=True)
        return found

    async def _cost(self, rate: int, seconds: int) -> _Cost:
        """At ``rate`` a second in all."""
        share = rate // len(self.targets)
        parts = (self._part(target, replace(plan, seconds=seconds), share) for target, plan in self.targets)
        found = await asyncio.gather(*parts)
        return _Cost(mean(cost.us for cost in found), sum(cost.per_second for cost in found))

    async def _part(self, target: Target, plan: Plan, rate: int) -> _Cost:
        if rate == _FULL:
            connections = CONNECTIONS // len(self.targets)
            full = await saturate(
                target, _WORK, self.shape.clients, plan.seconds, plan.folder, connections=connections
            )
            return _Cost(full.cpu_us, full.per_second)
        return _Cost((await paced(target, _WORK, self.shape, plan, rate))["paced_us"], rate)


async def measure(plan: Plan) -> list[Row]:
    """Measure, print and return the table. Load and upstream have one core, which is one of all."""
    rows: list[Row] = []
    async with nginx.mock(plan.folder) as upstream:
        for cores in _CORES:
            for store, (workers, gateways) in _COMPARED.items():
                async with (
                    _side(upstream, plan, store, cores) as one,
                    _side(upstream, plan, store, cores, workers, gateways) as two,
                ):
                    rows += await _by_turns(plan, f"{store}, {cores}", one, two)
    print(show("Workers", list(_COLUMNS.values()), [[row.get(name) for name in _COLUMNS] for row in rows]))
    return rows


@asynccontextmanager
async def _side(
    upstream: int, plan: Plan, store: str, cores: str, workers: int = 1, gateways: int = 1
) -> AsyncIterator[_Side]:
    """Gateways with folders and, where it is their store, a Redis of their own."""
    async with AsyncExitStack() as stack:
        where = await stack.enter_async_context(redis(plan.folder)) if store == "redis" else store
        shape, targets = Shape(store=where, workers=workers), []
        for _ in range(gateways):
            apart = replace(plan, folder=Path(mkdtemp(dir=plan.folder)))
            target = await stack.enter_async_context(settled(upstream, apart, shape, _CORES[cores]))
            targets.append((target, apart))
        yield _Side(targets, shape)


async def _by_turns(plan: Plan, what: str, one: _Side, two: _Side) -> list[Row]:
    """A row for each pace: medians of both, the ratio of their means, and how certain that is."""
    turns = []
    for number in range(1, plan.runs + 1):
        turn, order = f"{what}, run {number}", 1 if number % 2 else -1  # the first of two has no advantage
        costs = [await side.costs(turn, plan.seconds) for side in (one, two)[::order]]
        turns.append(costs[::order])
    return [
        _row(f"{what}, {name}", [(a[pace], b[pace]) for a, b in turns if pace in a and pace in b])
        for pace, name in _PACES.items()
    ]


def _row(name: str, pairs: Sequence[tuple[_Cost, _Cost]]) -> Row:
    row: Row = {"server": name}
    if pairs:
        row["ratio"] = _ratio(pairs)
        row["low"], row["high"] = _interval(pairs)
        for side, costs in zip(("one", "two"), zip(*pairs, strict=True), strict=True):
            row[side] = median(cost.us for cost in costs)
            row[f"{side}_per_second"] = median(cost.per_second for cost in costs)
    return row


def _ratio(pairs: Sequence[tuple[_Cost, _Cost]]) -> float:
    return mean(two.us for _, two in pairs) / mean(one.us for one, _ in pairs)


def _interval(pairs: Sequence[tuple[_Cost, _Cost]]) -> tuple[float, float]:
    """Where the ratio is nine times in ten, by what other draws of the same turns would have given: the
    percentile bootstrap (https://en.wikipedia.org/wiki/Bootstrapping_(statistics))."""
    draw = Random(0)
    ratios = sorted(_ratio(draw.choices(pairs, k=len(pairs))) for _ in range(_DRAWS))
    return ratios[_DRAWS // 20], ratios[-_DRAWS // 20]
