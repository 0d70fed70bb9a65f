"""What a patch of the configuration changes, by comparison with what was shown to who wrote it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, NamedTuple

from gateway.config.masked import is_mask
from gateway.config.overlay import Overlay
from gateway.config.overlay_secrets import holds_secret
from gateway.config.problems import ConfigError, Path, Problem, render
from gateway.config.tree import by_id, children, has_ids

FILE_ONLY: Final = ("version", "storage")
"""Settings that must be known before the overlay can be read."""


class Shown(NamedTuple):
    """A configuration, or a part of it, as the admin API shows it and as it is."""

    masked: Any
    actual: Any

    def part(self, path: Path) -> Shown:
        """What the last step of ``path`` names in it; ``None`` where there is nothing."""
        return Shown(*(_step(values, path) for values in self))


def changes(patch: dict[str, Any], now: Shown, waiting: Collection[Path] = ()) -> Overlay:
    """What ``patch`` would change: less all that is as it is shown now, secrets that were sent back masked
    among it. At the paths ``waiting`` it will be other than is shown: there all that is said counts. Raises
    `ConfigError` for a mask that stands for nothing, and for what only the file may set."""
    problems = [
        Problem(name, None, "must be known before these changes are read: it can only be set in the file")
        for name in FILE_ONLY
        if name in patch and not same(patch[name], now.masked.get(name))
    ]
    problems += _stray_masks(patch, now, ())
    if problems:
        raise ConfigError(problems)
    settable = {name: value for name, value in patch.items() if name not in FILE_ONLY}
    return _changed(settable, now, (), waiting) or {}


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same in JSON, where ``false`` is not 0."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _step(values: Any, path: Path) -> Any:
    if isinstance(values, list) and has_ids(path[:-1]):
        values = by_id(path[:-1], values)
    if isinstance(values, dict):
        return values.get(path[-1])
    if isinstance(values, list) and isinstance(path[-1], int) and path[-1] < len(values):
        return values[path[-1]]
    return None


def _stray_masks(patch: Any, now: Shown, path: Path) -> list[Problem]:
    if isinstance(patch, dict | list):
        return [
            problem
            for below, item in children(path, patch)
            for problem in _stray_masks(item, now.part(below), below)
        ]
    if is_mask(patch) and path and holds_secret(path, patch) and patch != now.masked:
        return [Problem(render(path), None, "is a mask, and not that of the secret in use: give it whole")]
    return []


def _changed(patch: Any, now: Shown, path: Path, waiting: Collection[Path]) -> Any:
    """What differs; None where nothing does, or where the difference is that it is to be removed."""
    if isinstance(patch, dict):
        changed: dict[str, Any] = {}
        for name, value in patch.items():
            below = (*path, name)
            part = now.part(below)
            if not same(value, part.masked) or _touches(below, waiting):
                inner = _changed(value, part, below, waiting)
                if inner is not None or value is None:
                    changed[name] = inner
        return changed or None
    if isinstance(patch, list) and has_ids(path):
        items = []
        for id_, item in by_id(path, patch).items():
            part = now.part((*path, id_))
            inner = _changed({**item, "id": id_}, part, (*path, id_), waiting)
            if inner is not None:
                items.append({"id": id_, **inner})
        return items or None
    return _unmasked(patch, now)


def _touches(path: Path, waiting: Collection[Path]) -> bool:
    """Whether one of the paths ``waiting`` lies at or in ``path``, or ``path`` in one of them."""
    return any(path[: len(one)] == one[: len(path)] for one in waiting)


def _unmasked(value: Any, now: Shown) -> Any:
    """What is replaced as a whole, with the secrets that its masks stand for."""
    if isinstance(value, dict):
        return {name: _unmasked(item, now.part((name,))) for name, item in value.items()}
    if isinstance(value, list):
        return [_unmasked(item, now.part((i,))) for i, item in enumerate(value)]
    return now.actual if isinstance(value, str) and value == now.masked else value
