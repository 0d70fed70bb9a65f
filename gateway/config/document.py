"""YAML text to plain values with the line of each; stricter than YAML where YAML surprises.

No anchors, aliases or tags, no duplicate keys, keys are text, and scalars are read by YAML 1.2's core schema
(https://yaml.org/spec/1.2.2/#103-core-schema), in decimal only: ``no``, ``010`` and ``1:30`` are text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from gateway.config.problems import ConfigError, Path, Problem, render
from gateway.config.substitute import SubstitutionError, expand

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]{1,3})?")
_WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(slots=True)
class Document:
    """A text's content: ``value`` as plain values (strings substituted), where each stands, what is wrong."""

    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, path: Path) -> int | None:
        """The line of the path, or of what it lies in."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)


def parse(data: bytes, environ: Mapping[str, str] | None) -> Document:
    """Read a configuration's bytes; without ``environ`` nothing is substituted.
    Raises `ConfigError` where nothing at all can be made of them."""
    text = _decode(data)
    builder = _Builder(environ)
    try:
        builder.read(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = _advice(text, mark) or error.problem or error.context
        raise _fatal(f"not valid YAML: {message}", mark.line + 1 if mark else None) from None
    except yaml.YAMLError:
        raise _fatal("not valid YAML: it holds control characters") from None
    if builder.document.value is None and not builder.document.problems:
        raise _fatal("the file is empty")
    return builder.document


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _advice(text: str, mark: yaml.Mark | None) -> str | None:
    """What to do about a character that YAML does not take where it stands, as far as that is known."""
    lines = text.split("\n")
    found = lines[mark.line][mark.column : mark.column + 1] if mark and mark.line < len(lines) else ""
    if found == "\t":
        return "indent with spaces, not with tabs"
    return f"put text that begins with {found} in quotes" if found in ("@", "`", "%") else None


def _fatal(message: str, line: int | None = None) -> ConfigError:
    return ConfigError([Problem("", line, message)])


def _decode(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise _fatal(f"the file is larger than {MAX_BYTES} bytes")
    if (nul := data.find(b"\0")) >= 0:
        raise _fatal("the file holds a NUL byte: it must be UTF-8 text", data.count(b"\n", 0, nul) + 1)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _fatal("the file is not valid UTF-8", line) from None


class _Builder:
    """Builds a `Document` from parser events, so that depth and aliases are caught before they cost."""

    def __init__(self, environ: Mapping[str, str] | None) -> None:
        self.document = Document()
        self._environ = environ
        self._events: Iterator[yaml.Event] = iter(())

    def read(self, events: Iterator[yaml.Event]) -> None:
        self._events = (event for event in events if not isinstance(event, yaml.StreamStartEvent))
        event = next(self._events)
        if not isinstance(event, yaml.DocumentStartEvent):
            return
        self.document.value = self._node(next(self._events), ())
        next(self._events)
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise _fatal("the file holds more than one document", _line(event))

    def _node(self, event: yaml.Event, path: Path) -> Any:
        self._check(event, path)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        return None  # an alias, reported by _check

    def _mapping(self, path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            line = _line(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise ConfigError([Problem(render(path), line, "a key must be plain text")])
            self._check(event, path)
            here = (*path, event.value)
            if event.value in mapping:
                first = self.document.lines[here]
                self._report(here, line, f"this key is here twice, first in line {first}")
            else:
                self.document.lines[here] = line
            mapping[event.value] = self._node(next(self._events), here)
        return mapping

    def _sequence(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            here = (*path, len(items))
            self.document.lines[here] = _line(event)
            items.append(self._node(event, here))
        return items

    def _scalar(self, event: yaml.ScalarEvent, path: Path) -> Any:
        text = event.value
        if event.implicit[0] and not event.style:
            if text in _WORDS:
                return _WORDS[text]
            if _INTEGER.fullmatch(text):
                return int(text)
            if _FLOAT.fullmatch(text):
                return float(text)
        line = _line(event)
        try:
            if self._environ is not None:
                text = expand(text, self._environ)
            text.encode()
        except SubstitutionError as error:
            self._report(path, line, str(error))
        except UnicodeEncodeError:
            self._report(path, line, "not valid Unicode text")
        return text

    def _check(self, event: yaml.Event, path: Path) -> None:
        line = _line(event)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            self._report(
                path, line, "anchors and aliases (& and *) are not allowed; quote the text if it is one"
            )
        if (tag := getattr(event, "tag", None)) is not None:
            self._report(path, line, f"tags are not allowed ({tag.replace('tag:yaml.org,2002:', '!!')})")
        if len(path) >= MAX_DEPTH:
            raise ConfigError([Problem(render(path), line, f"nested more than {MAX_DEPTH} levels deep")])

    def _report(self, path: Path, line: int, message: str) -> None:
        self.document.problems.append(Problem(render(path), line, message))
