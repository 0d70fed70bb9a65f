"""The configuration that the file and the overlay make together, and how to take back what does not fit."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.config.known import Known
from gateway.config.legacy import modernise
from gateway.config.overlay import Overlay
from gateway.config.overlay_secrets import opened
from gateway.config.problems import Path, Problem, render, steps
from gateway.config.read import validate
from gateway.config.schema import Config
from gateway.config.tree import find, indexed, leaves, merge, numbered
from gateway.vault import Vault


def applied(values: dict[str, Any], overlay: Overlay, vault: Vault, known: Known | None) -> Config:
    """The file's ``values`` with the overlay on top.

    Raises `ConfigError` with everything that is wrong: paths as in the result.
    """
    merged = merge(values, opened(overlay, vault), drop_nulls=True)
    modernise(merged, known)
    return validate(merged, known)


def blamed(values: dict[str, Any], overlay: Overlay, problems: Sequence[Problem]) -> list[Problem]:
    """The problems that the overlay makes with the file's ``values``, which are valid alone: each with how to
    take back what it comes from."""
    merged = merge(values, overlay, drop_nulls=True)
    by_place: dict[Path, Path] = {}
    for path in leaves(indexed(overlay)):
        by_place[path] = by_place[numbered(path, merged)] = _to_take_back(path, values)
    return [replace(problem, advice=_way_out(steps(problem.path), by_place)) for problem in problems]


def _to_take_back(path: Path, values: dict[str, Any]) -> Path:
    """What is set at ``path``, but of a provider's key that is none of the file's the whole: it is none
    without its secret."""
    of_a_key = path[2:3] == ("api_keys",) and path[4:] == ("key",)
    return path[:-1] if of_a_key and not find(values, path[:-1])[0] else path


def _way_out(at: Path, by_place: Mapping[Path, Path]) -> str:
    """``by_place``: what is set, by its path there and in the result."""
    for length in range(len(at), 1, -1):  # a section as a whole would name too much
        for place, path in by_place.items():
            if place[:length] == at[: min(length, len(place))]:
                setting = shlex.quote(render(path[:length]))
                return f"It was set through the admin API; to take it back: coo-llm revert PATH {setting}"
    return "It comes from what was set through the admin API; coo-llm revert PATH lists that"
