"""Several runs of one measurement, and what they say together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from statistics import median

from tests.bench.measure import Void

Numbers = dict[str, float]
Row = dict[str, str | float | None]


async def medians(
    runs: int, what: str, measures: Mapping[str, Callable[[], Awaitable[Numbers]]]
) -> dict[str, Numbers]:
    """The median of every number of every measure. The measures take turns: they see the same weather.

    A void run is reported and left out; a measure without a good run has no numbers.
    """
    seen: dict[str, list[Numbers]] = {name: [] for name in measures}
    for number in range(runs):
        for name, measure in measures.items():
            try:
                seen[name].append(await measure())
            except Void as why:
                print(f"void: {what}, {name}, run {number + 1}: {why}", flush=True)
    return {name: _middle(found) for name, found in seen.items()}


def _middle(found: list[Numbers]) -> Numbers:
    return {key: median(numbers[key] for numbers in found) for key in (found[0] if found else ())}


def compare(what: str, seen: Mapping[str, Numbers], base: str = "nginx") -> list[Row]:
    """A row for each measure, with its ratio to ``base`` in the cost that every measure has: ``us``."""
    rows: list[Row] = []
    for name, numbers in seen.items():
        bare = seen.get(base, {})
        ratio = numbers["us"] / bare["us"] if numbers.get("us") and bare.get("us") else None
        rows.append({"what": what, "server": name, **numbers, "ratio": ratio})
    return rows


def with_added(rows: list[Row]) -> list[Row]:
    """The rows with what each adds to nginx's latency, milliseconds."""
    base = rows[0]
    for row in rows[1:]:
        for name in ("p50", "p99"):
            mine, bare_ms = row.get(name), base.get(name)
            if isinstance(mine, float) and isinstance(bare_ms, float):
                row[f"added_{name}"] = mine - bare_ms
    return rows
