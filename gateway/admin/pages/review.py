"""A change of settings that somebody wrote, before it is made: what it would do, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.admin import config
from gateway.admin.pages.settings import told
from gateway.admin.state import AdminState
from gateway.config.editing import lines_of, patch_in
from gateway.config.problems import ConfigError, Problem


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong."""

    path: str
    message: str
    line: int | None
    """Of the text; None where it is not in it."""


@dataclass(frozen=True, slots=True)
class Change:
    """A setting that would be another. Secrets are masked."""

    path: str
    before: str
    after: str
    waits: bool
    """It would take effect with a restart only."""


@dataclass(frozen=True, slots=True)
class Review:
    """What is known of a text."""

    text: str = ""
    patch: dict[str, Any] = field(default_factory=dict)
    faults: Sequence[Fault] = ()
    changes: Sequence[Change] = ()
    revision: str = ""
    """What the changes were compared with."""

    @property
    def valid(self) -> bool:
        return not self.faults

    def fault_at(self, path: str) -> str:
        """What is wrong with one setting; empty if nothing is."""
        return "; ".join(fault.message for fault in self.faults if fault.path == path)


NOTHING = Review()


async def review(state: AdminState, text: str) -> Review:
    """Look at a text."""
    try:
        document = patch_in(text)
        result = await config.check(state, document.value)
    except ConfigError as error:
        return Review(text, faults=[_fault(problem) for problem in error.errors])
    if not result["valid"]:
        lines = lines_of(document)
        return Review(text, document.value, [_placed(one, lines) for one in result["errors"]])
    waiting = tuple(result["restart_required"])
    changes = [_change(one, waiting) for one in result["changes"]]
    return Review(text, document.value, (), changes, result["revision"])


def _fault(problem: Problem) -> Fault:
    got = f" (got {problem.got})" if problem.got is not None else ""
    return Fault(problem.path, f"{problem.message}{got}", problem.line)


def _placed(error: Mapping[str, str], lines: Mapping[str, int]) -> Fault:
    """An error of the whole configuration, and the line that sets what it is about, or where that lies."""
    path = error["path"]
    while path and path not in lines:
        path = path.rpartition(".")[0]
    return Fault(error["path"], error["message"], lines.get(path))


def _change(change: Mapping[str, Any], waiting: Sequence[str]) -> Change:
    path = change["path"]
    waits = any(f"{path}.".startswith(f"{one}.") for one in waiting)
    return Change(path, told(change["before"]), told(change["after"]), waits)
