"""What the requests of a time come to, group by group and step by step: all from one answer of the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gateway.admin.ledger import ask
from gateway.admin.pace import paced
from gateway.admin.state import AdminState
from gateway.api import Dimension, Filter, Total

Group = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Totals of groups in steps; what is summed from it agrees, for it is of one moment."""

    found: Sequence[tuple[int, Total]]
    """The beginning of a step (seconds since the epoch), and what a group had in it, unless that was none."""

    async def by_step(self) -> dict[int, Total]:
        """A total for each step that is not empty."""
        steps: dict[int, Total] = {}
        async for moment, total in paced(self.found):
            steps.setdefault(moment, Total()).add(total)
        return steps

    async def by_group(self, known_as: Callable[[Group], Group] = lambda group: group) -> dict[Group, Total]:
        """A total for each group, or for those that are ``known_as`` the same."""
        groups: dict[Group, Total] = {}
        async for _, total in paced(self.found):
            group = known_as(total.group)
            groups.setdefault(group, Total(group)).add(total)
        return groups

    def steps_by_group(self) -> Mapping[Group, Sequence[tuple[int, Total]]]:
        """The steps of each group."""
        groups: dict[Group, list[tuple[int, Total]]] = {}
        for moment, total in self.found:
            groups.setdefault(total.group, []).append((moment, total))
        return groups


async def breakdown(state: AdminState, wanted: Filter, step: int, group_by: Sequence[Dimension]) -> Breakdown:
    """Ask the store. ``wanted`` has a start and an end, ``step`` is in seconds."""
    found = await ask(state, lambda: state.live.store.series(wanted, step, group_by))
    return Breakdown([(int(moment), total) for moment, total in found])
