"""``python -m tests.bench``: measure the gateway beside a bare nginx and print the tables.

Needs Linux with two cores, nginx, redis-server, wrk and taskset. The server measured has core 0 to itself,
load and mock core 1; numbers are medians, and a run with any error is void. Ratios to nginx can be compared
between machines, absolute times cannot.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path

import orjson

from tests.bench import dashboard, growth, nginx, requests, stores, streams, workers
from tests.bench.config import Shape
from tests.bench.measure import Void, raise_open_files
from tests.bench.runs import Row
from tests.bench.target import Plan, gateway
from tests.bench.work import works
from tests.bench.wrk import saturate

TOOLS = ("nginx", "redis-server", "wrk", "taskset")
TABLES = {
    "requests": requests.measure,
    "streams": streams.measure,
    "stores": stores.measure,
    "workers": workers.measure,
    "growth": growth.measure,
    "dashboard": dashboard.measure,
}


def main() -> int:
    """Run the tables asked for."""
    options = _options()
    asked = [name for name in TABLES if getattr(options, name)]
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        print(f"not installed: {', '.join(missing)}", file=sys.stderr)
        return 1
    raise_open_files()
    with tempfile.TemporaryDirectory(prefix="coo-llm-bench-") as folder:
        runs, seconds, many = (1, 1, 20_000) if options.quick else (3, 2, 100_000)
        many = 1_000_000 if options.long else many
        plan = Plan(Path(folder), options.runs or runs, seconds, options.control, many)
        names = list(TABLES) if options.all or not asked else asked
        try:
            found = asyncio.run(_profile(plan) if options.profile else _measure(names, plan))
        except (RuntimeError, Void) as why:
            print(why, file=sys.stderr)
            return 1
    if options.json:
        options.json.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    for name in TABLES:
        parser.add_argument(f"--{name}", action="store_true", help=f"the table of {name}")
    parser.add_argument("--all", action="store_true", help="all tables (the default)")
    parser.add_argument("--quick", action="store_true", help="one short run of everything")
    parser.add_argument("--runs", type=int, help="runs to take the median of (3, quick: 1)")
    parser.add_argument("--long", action="store_true", help="a million requests or records, not 100,000")
    parser.add_argument("--control", action="store_true", help="nginx in the gateway's place: ratios near 1")
    parser.add_argument("--profile", action="store_true", help="where the gateway's time goes, no tables")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the numbers there as well")
    return parser.parse_args()


async def _measure(names: list[str], plan: Plan) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for name in names:
        start = time.monotonic()
        found[name] = await TABLES[name](plan)
        print(f"({name}: {time.monotonic() - start:.0f} s)", flush=True)
    return found


async def _profile(plan: Plan) -> dict[str, list[Row]]:
    async with nginx.mock(plan.folder) as upstream, gateway(upstream, plan, Shape(), profiled=True) as target:
        await saturate(target, works()[0], Shape().clients, plan.seconds, plan.folder)
    return {}


if __name__ == "__main__":
    sys.exit(main())
