"""What was set through the admin API on top of the file: what a patch changes, what is secret in it, and
where each setting comes from."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal, NamedTuple

from gateway.config.known import Known
from gateway.config.legacy import modernise
from gateway.config.masked import is_mask, is_secret, mask, masked, revealed, without_userinfo
from gateway.config.problems import ConfigError, Path, Problem, render, steps
from gateway.config.read import validate
from gateway.config.schema import Config
from gateway.config.substitute import Substituted
from gateway.config.tree import by_id, children, find, has_ids, indexed, leaves, merge, numbered, transform
from gateway.vault import MARK, Vault, VaultError

Overlay = dict[str, Any]
"""Part of a configuration: as in the file, but that nothing is substituted, secrets are sealed, and a null
stands for what the file sets and is not to be set."""
Source = Literal["default", "file", "overlay"]

FILE_ONLY: Final = ("version", "storage")
"""Settings that must be known before the overlay can be read."""


class Shown(NamedTuple):
    """A configuration, or a part of it, as the admin API shows it and as it is."""

    masked: Any
    actual: Any

    def part(self, path: Path) -> Shown:
        """What the last step of ``path`` names in it; ``None`` where there is nothing."""
        return Shown(*(_step(values, path) for values in self))


def shown(config: Config) -> Shown:
    """To compare patches with: for who edits what was shown sends it back."""
    return Shown(masked(config), revealed(config))


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


def opened(overlay: Overlay, vault: Vault) -> Overlay:
    """The overlay with its secrets. Raises `ConfigError` with all that cannot be opened."""
    problems: list[Problem] = []

    def leaf(path: Path, value: Any) -> Any:
        if not (isinstance(value, str) and value.startswith(MARK)):
            return value
        try:
            return Substituted(vault.open(value, render(path)))
        except VaultError as error:
            problems.append(Problem(render(path), None, str(error)))
            return value

    values: Overlay = transform(overlay, leaf)
    if problems:
        raise ConfigError(problems)
    return values


def sealed(patch: Overlay, vault: Vault) -> Overlay:
    """The patch with its secrets sealed. Raises `NoMasterKey` if there is one that cannot be."""

    def leaf(path: Path, value: Any) -> Any:
        return vault.seal(value, render(path)) if _is_secret(path, value) else value

    values: Overlay = transform(patch, leaf)
    return values


def resealed(overlay: Overlay, vault: Vault) -> Overlay:
    """The overlay with all secrets under the present master key; those that cannot be opened stay."""

    def leaf(path: Path, value: Any) -> Any:
        if not (isinstance(value, str) and value.startswith(MARK)) or vault.current(value):
            return value
        try:
            return vault.seal(vault.open(value, render(path)), render(path))
        except VaultError:
            return value

    values: Overlay = transform(overlay, leaf)
    return values


def hidden(overlay: Overlay, vault: Vault) -> Overlay:
    """The overlay as it may be shown."""

    def leaf(path: Path, value: Any) -> Any:
        if not (isinstance(value, str) and value.startswith(MARK)):
            return value
        try:
            return mask(vault.open(value, render(path)))
        except VaultError:
            return "…"

    values: Overlay = transform(overlay, leaf)
    return values


def changes(patch: dict[str, Any], now: Shown, waiting: Collection[Path] = ()) -> Overlay:
    """What ``patch`` would change: less all that is as it is shown now, secrets that were sent back masked
    among it. At the paths ``waiting`` it will be other than is shown: there all that is said counts. Raises
    `ConfigError` for a mask that stands for nothing, and for what only the file may set."""
    problems = [
        Problem(name, None, "is needed to find these changes: it can only be set in the file")
        for name in FILE_ONLY
        if name in patch and not same(patch[name], now.masked.get(name))
    ]
    problems += _stray_masks(patch, now, ())
    if problems:
        raise ConfigError(problems)
    settable = {name: value for name, value in patch.items() if name not in FILE_ONLY}
    return _changed(settable, now, (), waiting) or {}


def sources(values: dict[str, Any], file: dict[str, Any], overlay: Overlay) -> dict[str, Source]:
    """Where each of the effective ``values`` comes from, by its path, ids in place of indices."""
    file, overlay = indexed(file), indexed(overlay)
    return {render(path): _source(path, file, overlay) for path in leaves(values)}


def without(overlay: Overlay, where: str) -> tuple[Overlay, str]:
    """The overlay less what stands at ``where`` (steps between ``/`` or ``.``), and its path as rendered.

    Raises `KeyError` if it has nothing there.
    """
    path = _resolve(overlay, where, ())
    if path is None:
        raise KeyError(where)
    return _removed(overlay, path, ()) or {}, render(path)


def is_part(some: Overlay, overlay: Overlay) -> bool:
    """Whether all that ``some`` says stands in ``overlay`` as well."""
    return bool(merge(overlay, some, drop_nulls=False) == overlay)


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


def _is_secret(path: Path, value: Any) -> bool:
    if not isinstance(value, str):
        return False
    named = path[0] != "model_aliases" and is_secret(path)
    return named or without_userinfo(value) != value or value.startswith(MARK)


def _stray_masks(patch: Any, now: Shown, path: Path) -> list[Problem]:
    if isinstance(patch, dict | list):
        return [
            problem
            for below, item in children(path, patch)
            for problem in _stray_masks(item, now.part(below), below)
        ]
    if is_mask(patch) and path and _is_secret(path, patch) and patch != now.masked:
        return [Problem(render(path), None, "is a masked secret, and not the one that is set: give it whole")]
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


def _source(path: Path, file: dict[str, Any], overlay: Overlay) -> Source:
    changed, value = find(overlay, path)
    if changed:
        return "default" if value is None else "overlay"
    return "file" if (there := find(file, path))[0] and there[1] is not None else "default"


def _resolve(value: Any, where: str, path: Path) -> Path | None:
    """The path in ``value`` that ``where`` spells: names may hold what stands between steps."""
    if isinstance(value, list) and not has_ids(path):
        return None
    for below, item in children(path, value):
        for name in {str(below[-1]), render(below[-1:])}:
            if where == name:
                return below
            if where.startswith((f"{name}/", f"{name}.")):
                found = _resolve(item, where[len(name) + 1 :], below)
                if found is not None:
                    return found
    return None


def _removed(value: Any, path: Path, at: Path) -> Any:
    """``value`` without what is at ``path``, and without what that leaves empty; None if it is all."""
    left: dict[Any, Any] = {}
    for below, item in children(at, value):
        if below == path:
            continue
        kept = _removed(item, path, below) if path[: len(below)] == below else item
        if kept is not None or item is None:
            left[below[-1]] = kept
    if has_ids(at):
        return list(left.values()) or None
    in_list = has_ids(at[:-1])
    return None if not left or (in_list and left.keys() <= {"id"}) else left
