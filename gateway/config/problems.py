"""What is wrong with a configuration, and where: for the person who wrote it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

Path = tuple[str | int, ...]

_BARE = re.compile(r"[\w-]+")
_STEP = re.compile(r'"(.*?)"(?=\.|$)|([^.]+)')


def render(path: Path) -> str:
    """The path as a person reads it: ``llm_providers.0.models.1.name``, names with dots in quotes."""
    return ".".join(str(step) if _BARE.fullmatch(str(step)) else f'"{step}"' for step in path)


def steps(rendered: str) -> Path:
    """The path that was rendered; a name of digits alone is taken for an index."""
    found = (match.groups() for match in _STEP.finditer(rendered))
    return tuple(quoted or (int(bare) if bare.isdecimal() else bare) for quoted, bare in found)


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
    advice: str = ""
    """What to do about it, where the rest does not say."""

    def __str__(self) -> str:
        return f"{self.path}: {self.text}" if self.path else self.text

    @property
    def text(self) -> str:
        """All of it but the path."""
        got = f" (got {self.got})" if self.got is not None else ""
        line = f" [line {self.line}]" if self.line is not None else ""
        advice = f". {self.advice}" if self.advice else ""
        return f"{self.message}{got}{line}{advice}"


class ConfigError(Exception):
    """A configuration that cannot be used, with everything that is wrong with it."""

    def __init__(self, errors: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = list(errors)


def gather(*makes: Callable[[], Any]) -> list[Any]:
    """What each of ``makes`` gives. Raises one `ConfigError` for all of them that raise one."""
    made: list[Any] = []
    problems: list[Problem] = []
    for make in makes:
        try:
            made.append(make())
        except ConfigError as error:
            problems += error.errors
    if problems:
        raise ConfigError(problems)
    return made


@contextmanager
def opening(setting: str) -> Iterator[None]:
    """An `OSError` within says which ``setting`` names what cannot be opened; but not where another daemon
    has it open, who says enough."""
    try:
        yield
    except BlockingIOError:
        raise
    except OSError as exc:
        reason = str(exc) if exc.filename is None else f"{exc.filename}: {exc.strerror}"
        raise OSError(f"{setting}: {reason}") from exc
