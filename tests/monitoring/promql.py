"""Reads PromQL and holds it against the metrics that are documented, which are those that there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import promql_parser as promql

from tests.daemon.test_metrics_e2e import documented

TARGET = {"job", "instance"}
"""What Prometheus itself puts on every series."""
FOREIGN = {"up", "process_start_time_seconds", "process_cpu_seconds_total", "process_resident_memory_bytes"}
"""Metrics from elsewhere, with no labels of their own."""
_SUFFIXES = ("_bucket", "_sum", "_count")


def labels_of(metric: str) -> set[str] | None:
    """The labels of a metric's series; None if there is no such metric."""
    families = documented()
    for suffix in _SUFFIXES:
        family = families.get(metric.removesuffix(suffix))
        if family is not None and metric.endswith(suffix):
            return family | TARGET | ({"le"} if suffix == "_bucket" else set())
    if metric in FOREIGN:
        return set(TARGET)
    return families[metric] | TARGET if metric in families else None


def metrics_in(expression: str) -> list[str]:
    """The names of the series that an expression reads."""
    return [selector.name for selector in _all(promql.parse(expression), promql.VectorSelector)]


def check(expression: str) -> None:
    """Assert that every metric and label in an expression exists."""
    parsed = promql.parse(expression)
    for selector in _all(parsed, promql.VectorSelector):
        known = labels_of(selector.name)
        assert known is not None, f"no metric {selector.name}: {expression}"
        named = {matcher.name for matcher in selector.matchers.matchers}
        assert named <= known, f"{selector.name} has no {named - known}"
    for aggregate in _all(parsed, promql.AggregateExpr):
        if aggregate.modifier is None:
            continue
        wanted = set(aggregate.modifier.labels)
        for selector in _all(aggregate.expr, promql.VectorSelector):
            known = labels_of(selector.name)
            assert known is not None and wanted <= known, f"{selector.name} has no {wanted}"


def _all(node: Any, kind: type) -> Iterator[Any]:
    if isinstance(node, kind):
        yield node
    for name in ("lhs", "rhs", "expr", "vector_selector"):
        if (below := getattr(node, name, None)) is not None:
            yield from _all(below, kind)
    for argument in getattr(node, "args", ()):
        yield from _all(argument, kind)
