"""Settings as rows of a table: what is in force and where from, and what was set here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.admin.config import effective
from gateway.admin.state import AdminState
from gateway.config.problems import Path, render
from gateway.config.tree import find, has_ids, indexed, leaves

AT_ONCE = 100
"""Rows on one page."""
SOURCES = {"all": "anywhere", "file": "the file", "overlay": "set here", "default": "defaults"}
"""What rows can be narrowed down to, in words."""
_ALSO_SHOWN = ("config_version", "sources", "api_keys")


@dataclass(frozen=True, slots=True)
class Setting:
    """One row."""

    path: Path
    name: str
    value: Any
    """Secrets masked."""
    source: str

    @property
    def text(self) -> str:
        """The value, as a person reads it."""
        return told(self.value)


def told(value: Any) -> str:
    """A value as a person reads it."""
    if value is None:
        return "not set"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) and value else orjson.dumps(value).decode()


def in_force(state: AdminState) -> list[Setting]:
    """Every setting but the clients, who have a page of their own. To be called in a thread."""
    body = effective(state, with_sources=True, with_clients=False)
    values = {name: value for name, value in body.items() if name not in _ALSO_SHOWN}
    found = indexed(values)
    return [
        Setting(path, name := render(path), find(found, path)[1], body["sources"][name])
        for path in leaves(values)
    ]


def narrowed(settings: Sequence[Setting], search: str, source: str) -> list[Setting]:
    """Those with ``search`` in their name or their value, from that ``source``."""
    wanted = search.casefold()
    return [
        setting
        for setting in settings
        if source in ("all", setting.source)
        and (not wanted or wanted in setting.name.casefold() or wanted in setting.text.casefold())
    ]


def page_of(settings: Sequence[Setting], after: str | None) -> tuple[Sequence[Setting], str]:
    """The rows that follow the one named ``after``, and what to give for the next; empty: none follow."""
    start = next((i + 1 for i, setting in enumerate(settings) if setting.name == after), 0)
    rows = settings[start : start + AT_ONCE]
    return rows, rows[-1].name if start + AT_ONCE < len(settings) else ""


def set_here(overlay: Mapping[str, Any]) -> list[Setting]:
    """Everything in what `gateway.admin.config.overlay` tells that can be taken back."""
    rows = [
        Setting(path, render(path), value, "overlay")
        for path, value in _leaves(overlay["overlay"])
        if path[-1] != "id" or not has_ids(path[:-2])
    ]
    clients = [
        Setting(("api_keys", id_), render(("api_keys", id_)), values, "overlay")
        for id_, values in overlay["clients"].items()
    ]
    return rows + clients


def _leaves(values: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    found = indexed(values)
    for path in leaves(values) if values else ():
        yield path, find(found, path)[1]
