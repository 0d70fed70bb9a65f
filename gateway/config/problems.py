"""What is wrong with a configuration, and where: for the person who wrote it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

Path = tuple[str | int, ...]

_BARE = re.compile(r"[\w-]+")


def render(path: Path) -> str:
    """The path as a person reads it: ``llm_providers.0.models.1.name``, names with dots in quotes."""
    return ".".join(str(step) if _BARE.fullmatch(str(step)) else f'"{step}"' for step in path)


class Fault(NamedTuple):
    """A problem of the values, not yet traced to a line of the file."""

    path: Path
    message: str
    got: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. ``got`` is fit to be shown: secrets never get here."""

    path: str
    """Where in the document; empty where it is the file as a whole."""
    line: int | None
    """Counted from 1; None where there is none."""
    message: str
    got: str | None = None

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        got = f" (got {self.got})" if self.got is not None else ""
        line = f" [line {self.line}]" if self.line is not None else ""
        return f"{where}{self.message}{got}{line}"


class ConfigError(Exception):
    """A configuration that cannot be used, with everything that is wrong with it."""

    def __init__(self, errors: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = list(errors)
