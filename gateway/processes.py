"""The ``process_…`` metrics: CPU seconds, memory, open files; of this process or of several together."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import ProcessCollector
from prometheus_client.metrics_core import Metric

CPU = "process_cpu_seconds"
_RULES: Mapping[str, Callable[[float, float], float]] = {
    "process_start_time_seconds": min,
    "process_max_fds": min,
}
"""What is not the sum over the processes."""


class Processes:
    """Figures by the name of their family."""

    def __init__(self, *, ours: bool) -> None:
        """``ours``: this process is one of them."""
        self._collector: ProcessCollector = ProcessCollector(registry=None)
        self._ours = ours
        self._others: dict[str, float] = {}

    def add(self, values: Mapping[str, float]) -> None:
        """Take another process in."""
        self._others = _together(self._others, values)

    def values(self) -> dict[str, float]:
        """The figures of all."""
        return {family.name: family.samples[0].value for family in self.collect()}

    def collect(self) -> Iterator[Metric]:
        """The families that there are figures for."""
        for family in self._collector.collect():
            own = {family.name: family.samples[0].value} if self._ours else {}
            values = _together(own, self._others)
            if family.name in values:
                family.samples = [family.samples[0]._replace(value=values[family.name])]
                yield family


def _together(ours: Mapping[str, float], theirs: Mapping[str, float]) -> dict[str, float]:
    found = dict(ours)
    for name, value in theirs.items():
        rule: Callable[[float, float], float] = _RULES.get(name, operator.add)
        found[name] = rule(found[name], value) if name in found else value
    return found
