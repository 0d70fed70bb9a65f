"""The table of growth: what a request costs as keys, clients, aliases and pools grow, and memory."""

from __future__ import annotations

from functools import partial

from tests.bench import nginx
from tests.bench.config import Shape
from tests.bench.measure import Void, rss_bytes
from tests.bench.runs import Numbers, Row, medians
from tests.bench.table import show
from tests.bench.target import Plan, Target, gateway
from tests.bench.work import Work, chat_body
from tests.bench.wrk import saturate

_MB = 1024 * 1024
_ONE = ("openai",)
_VOID_ROUNDS = 5
"""After so many, the row on memory reports on the requests there were."""
SHAPES = {
    "4 keys in pools of four": Shape(_ONE, keys=4, aliases=1),
    "1,000 keys in pools of four": Shape(_ONE * 250, keys=4, aliases=250),
    "10 clients": Shape(_ONE, clients=10),
    "10,000 clients": Shape(_ONE, clients=10_000),
    "1 alias": Shape(_ONE, aliases=1),
    "1,000 aliases": Shape(_ONE, aliases=1000),
    **{f"a pool of {size:,}": Shape(_ONE, keys=size, aliases=1) for size in (1, 4, 16, 64, 1000)},
}
_COLUMNS = {"what": "configuration", "us": "µs/request", "per_second": "requests/s", "mb": "RSS MB"}


async def measure(plan: Plan) -> list[Row]:
    """Measure, print and return the table. RSS is that of the idle gateway, but for the row on memory."""
    rows = list[Row]()
    async with nginx.mock(plan.folder) as upstream:
        for what, shape in SHAPES.items():
            try:
                rows.append(await _row(what, shape, upstream, plan))
            except RuntimeError as why:
                print(f"void: {what}: {why}", flush=True)
        rows.append(await _after_many(upstream, plan))
    print(show("Growth", list(_COLUMNS.values()), [[row.get(name) for name in _COLUMNS] for row in rows]))
    return rows


async def _row(what: str, shape: Shape, upstream: int, plan: Plan) -> Row:
    async with gateway(upstream, plan, shape) as target:
        idle = rss_bytes(target.pid) / _MB
        once = partial(_once, target, _work(f"alias-{shape.aliases - 1}"), shape, plan)
        seen = await medians(plan.runs, what, {"gateway": once})
    return {"what": what, **seen["gateway"], "mb": idle}


def _work(alias: str) -> Work:
    return Work("growth", alias, "/v1/chat/completions", chat_body(alias, 900))


async def _once(target: Target, work: Work, shape: Shape, plan: Plan) -> Numbers:
    full = await saturate(target, work, shape.clients, plan.seconds, plan.folder)
    return {"us": full.cpu_us, "per_second": full.per_second}


async def _after_many(upstream: int, plan: Plan) -> Row:
    """Resident memory after very many requests."""
    done, void = 0, 0
    async with gateway(upstream, plan, Shape()) as target:
        while done < plan.many and void < _VOID_ROUNDS:
            try:
                full = await saturate(target, _work("alias-0"), Shape().clients, plan.seconds, plan.folder)
                done += full.requests
            except Void as why:
                print(f"void: many requests: {why}", flush=True)
                void += 1
        return {"what": f"after {done:,} requests", "mb": rss_bytes(target.pid) / _MB}
