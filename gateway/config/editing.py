"""Settings as text that is edited, and back: YAML as in the file, but that nothing is substituted in it."""

from __future__ import annotations

import re
from typing import Any

import yaml

from gateway.config.document import Document, parse
from gateway.config.problems import ConfigError, Path, Problem, render
from gateway.config.tree import has_ids

_PLAIN = re.compile(r"[A-Za-z_][\w./*-]*", re.ASCII)
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
"""What YAML, in one version or another, reads as something else than text."""
_WIDE = 10**6


class _Dumper(yaml.SafeDumper):
    """Quotes all text that could be taken for something else."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _text)


def written(values: dict[str, Any]) -> str:
    """Part of a configuration as text that `patch_in` reads as the same."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDE)


def patch_in(text: str) -> Document:
    """The part of a configuration that was written. Raises `ConfigError` with everything that is wrong."""
    if not text.strip():
        return Document({})
    document = parse(text.encode("utf-8", "replace"), None)
    if document.problems:
        raise ConfigError(document.problems)
    if not isinstance(document.value, dict):
        raise ConfigError([Problem("", 1, "must be settings by their names (name: value)")])
    return document


def scalar(text: str) -> Any:
    """What a field holds: a number, true, false, null if it is empty, or else the text itself."""
    if not text.strip():
        return None
    try:
        document = parse(text.strip().encode("utf-8", "replace"), None)
    except ConfigError:
        return text
    plain = not document.problems and not isinstance(document.value, dict | list)
    return document.value if plain else text


def nested(path: Path, value: Any) -> dict[str, Any]:
    """The settings of which ``value`` at ``path`` is the only one. Paths hold ids in place of indices."""
    for i in range(len(path) - 1, -1, -1):
        value = [{"id": path[i], **value}] if has_ids(path[:i]) else {path[i]: value}
    found: dict[str, Any] = value
    return found


def lines_of(document: Document) -> dict[str, int]:
    """The line of each setting in it, by its path, ids in place of indices."""
    return {render(_by_ids(document.value, path)): line for path, line in document.lines.items()}


def _by_ids(value: Any, path: Path) -> Path:
    steps: list[str | int] = []
    for step in path:
        item = value[step]
        named = has_ids(tuple(steps)) and isinstance(item, dict)
        steps.append(item.get("id", step) if named else step)
        value = item
    return tuple(steps)
