"""What was set through the admin API on top of the file: where settings come from, and taking them back."""

from __future__ import annotations

from typing import Any, Literal

from gateway.config.problems import Path, render
from gateway.config.tree import children, find, has_ids, indexed, leaves, merge

Overlay = dict[str, Any]
"""Part of a configuration: as in the file, but that nothing is substituted, secrets are sealed, and a null
stands for what the file sets and is not to be set."""
Source = Literal["default", "file", "overlay"]


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
