"""The table of the dashboard: what requests notice of somebody who looks at it, over many usage records."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import cycle

from aiohttp import ClientSession, CookieJar

from tests.bench import nginx
from tests.bench.config import ADMIN_KEY, Shape
from tests.bench.load import Spec
from tests.bench.measure import LOAD_CORE, Void, percentile
from tests.bench.runs import Numbers, Row, medians
from tests.bench.table import show
from tests.bench.target import Plan, Target, gateway, generate
from tests.bench.work import works

RATE = 500
SECONDS = 10.0
"""Of each run: viewers are sent news every few seconds."""
_BETWEEN_PAGES = 1.0
_NOBODY = "nothing"
_MENU = re.compile(r'<nav aria-label="Menu">.*?</nav>', re.S)
_HREF = re.compile(r'href="(/ui/[^"]*)"')
_COLUMNS = {
    "server": "what is looked at",
    "paced_us": f"µs at {RATE:,}/s",
    "p50": "p50 ms",
    "p99": "p99 ms",
    "more": "more p99",
}


async def measure(plan: Plan) -> list[Row]:
    """Measure, print and return the table: nobody; the overview open; every page open in a tab of its own,
    and one of them opened anew each second."""
    shape = Shape(store="file", records=plan.many)
    async with nginx.mock(plan.folder) as upstream, gateway(upstream, plan, shape) as target:
        measures: dict[str, Callable[[], Awaitable[Numbers]]] = {
            _NOBODY: partial(_once, target, shape),
            "the overview": partial(_watched, target, shape, everything=False),
            "every page at once": partial(_watched, target, shape, everything=True),
        }
        seen = await medians(plan.runs, "dashboard", measures)
    rows: list[Row] = [{"server": name, **numbers} for name, numbers in seen.items()]
    for row in rows[1:]:
        if "p99" in row and "p99" in seen[_NOBODY]:
            row["more"] = seen[str(row["server"])]["p99"] - seen[_NOBODY]["p99"]
    title = f"Dashboard, {plan.many:,} records"
    print(show(title, list(_COLUMNS.values()), [[row.get(name) for name in _COLUMNS] for row in rows]))
    return rows


async def _once(target: Target, shape: Shape) -> Numbers:
    work = works()[0]
    spec = Spec("rate", target.port, target.pid, target.path(work), work.body.decode(), shape.clients)
    calm = await generate(spec.at(rate=RATE, seconds=SECONDS))
    return {
        "paced_us": calm.cpu / calm.requests * 1e6,
        "p50": percentile(calm.latencies, 0.5),
        "p99": percentile(calm.latencies, 0.99),
    }


async def _watched(target: Target, shape: Shape, *, everything: bool) -> Numbers:
    """While somebody who is logged in looks, on the load's core."""
    os.sched_setaffinity(0, {int(LOAD_CORE[-1])})
    jar = CookieJar(unsafe=True)  # of an address without a name
    async with ClientSession(target.url, cookie_jar=jar) as session:
        pages = await _log_in(session)
        shown = pages if everything else pages[:1]
        looking = [asyncio.create_task(_follow(session, path)) for path in shown]
        if everything:
            looking.append(asyncio.create_task(_browse(session, pages)))
        try:
            return await _once(target, shape)
        finally:
            for task in looking:
                task.cancel()
            for seen in await asyncio.gather(*looking, return_exceptions=True):
                if isinstance(seen, Void):
                    raise seen


async def _log_in(session: ClientSession) -> list[str]:
    """The addresses in the menu."""
    login = {"id": "admin", "password": ADMIN_KEY}
    async with session.post("/admin/login", json=login) as answer:
        if answer.status != 200:
            raise Void(f"the login was answered with {answer.status}")
    menu = _MENU.search(await _page(session, "/ui/"))
    return _HREF.findall(menu[0]) if menu else []


async def _browse(session: ClientSession, pages: list[str]) -> None:
    for path in cycle(pages):
        await _page(session, path)
        await asyncio.sleep(_BETWEEN_PAGES)


async def _page(session: ClientSession, path: str) -> str:
    async with session.get(path) as answer:
        if answer.status != 200:
            raise Void(f"{path} was answered with {answer.status}")
        return await answer.text()


async def _follow(session: ClientSession, path: str) -> None:
    """Take what a page that lives sends; one that does not ends at once."""
    async with session.get(path, headers={"accept": "text/event-stream"}) as answer:
        async for _ in answer.content.iter_any():
            pass
