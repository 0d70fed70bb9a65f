"""Configurations as plain values: walking them, and merging one into another.

Lists are one value, but for those of things that have an id (providers, their keys, clients): these are
walked and merged item by item, and the id stands in the path in place of the index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gateway.config.problems import ConfigError, Path, Problem, render
from gateway.config.schema_providers import identity

CLIENTS: Path = ("api_keys",)
PROVIDERS: Path = ("llm_providers",)
_KEYS_DEPTH = 3
"""``llm_providers``, the provider's id, ``api_keys``."""


def has_ids(path: Path) -> bool:
    """Whether the list at ``path`` is one of things that have an id."""
    return path in (CLIENTS, PROVIDERS) or (
        len(path) == _KEYS_DEPTH and path[:1] == PROVIDERS and path[-1] == "api_keys"
    )


def by_id(path: Path, items: Any) -> dict[str, Any]:
    """The items of the list at ``path`` by id, short forms (a bare key) written out.

    Raises `ConfigError` for an item that has none.
    """
    found: dict[str, Any] = {}
    for i, item in enumerate(items if isinstance(items, list) else ()):
        long = {"key": item} if isinstance(item, str) and path != PROVIDERS else item
        if not isinstance(long, dict) or (id_ := _id(path, long)) is None:
            raise ConfigError([Problem(render((*path, i)), None, "must be a mapping with an id")])
        found[id_] = long
    return found


def _id(path: Path, item: Mapping[str, Any]) -> str | None:
    id_ = item.get("id")
    if id_ is None and path == PROVIDERS:
        id_ = item.get("type")
    elif id_ is None and isinstance(key := item.get("key"), str):
        id_ = identity("c-" if path == CLIENTS else "k-", key)
    return id_ if isinstance(id_, str) else None


def children(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    """What lies directly in ``value``, each with its path."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield (*path, name), item
    elif isinstance(value, list):
        items = by_id(path, value).items() if has_ids(path) else enumerate(value)
        for step, item in items:
            yield (*path, step), item


def transform(value: Any, leaf: Callable[[Path, Any], Any], path: Path = ()) -> Any:
    """A copy of ``value`` with ``leaf`` applied to everything in it that is neither mapping nor list."""
    if isinstance(value, dict):
        return {inner[-1]: transform(item, leaf, inner) for inner, item in children(path, value)}
    if isinstance(value, list):
        return [transform(item, leaf, inner) for inner, item in children(path, value)]
    return leaf(path, value)


def merge(base: Any, patch: Any, *, drop_nulls: bool, path: Path = ()) -> Any:
    """``patch`` on top of ``base``, as RFC 7396 merges, but for the lists of things that have an id.

    A null in the patch removes what it names; without ``drop_nulls`` it stays, for a later merge.
    """
    if isinstance(patch, dict):
        merged = dict(base) if isinstance(base, dict) else {}
        for name, value in patch.items():
            if value is None and drop_nulls:
                merged.pop(name, None)
            else:
                merged[name] = merge(merged.get(name), value, drop_nulls=drop_nulls, path=(*path, name))
        return merged
    if isinstance(patch, list) and has_ids(path):
        items = by_id(path, base)
        for id_, item in by_id(path, patch).items():
            merged = merge(items.get(id_), item, drop_nulls=drop_nulls, path=(*path, id_))
            items[id_] = {"id": id_, **merged}
        return list(items.values())
    return patch


def find(values: Any, path: Path) -> tuple[bool, Any]:
    """Whether ``values`` say anything of ``path``, and what stands there or at the value it lies in."""
    for i, step in enumerate(path):
        if isinstance(values, list) and has_ids(path[:i]):
            values = by_id(path[:i], values)
        if not isinstance(values, dict):
            return True, values
        if step not in values:
            return False, None
        values = values[step]
    return True, values


def numbered(path: Path, values: Any) -> Path:
    """``path`` with the index in ``values`` in place of each id, as far as they reach."""
    found: list[str | int] = []
    for i, step in enumerate(path):
        inner = dict(children(path[:i], values))
        here = path[: i + 1]
        if here not in inner:
            return (*found, *path[i:])
        found.append(list(inner).index(here) if isinstance(values, list) else step)
        values = inner[here]
    return tuple(found)


def indexed(value: Any, path: Path = ()) -> Any:
    """``value`` with mappings by id in place of the lists of what has one: to `find` many things in."""
    if isinstance(value, dict) or (isinstance(value, list) and has_ids(path)):
        return {below[-1]: indexed(item, below) for below, item in children(path, value)}
    return value


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of all that is neither a mapping with something in it nor a list of things with ids."""
    inner = list(children(path, value)) if isinstance(value, dict) or has_ids(path) else []
    for below, item in inner:
        yield from leaves(item, below)
    if not inner:
        yield path
