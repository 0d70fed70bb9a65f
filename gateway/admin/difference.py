"""What a change of the configuration would come to: each setting that would be another, before and after."""

from __future__ import annotations

from typing import Any

from gateway.admin.config_view import both
from gateway.config.managed import Managed
from gateway.config.overlay_patch import Shown
from gateway.config.problems import Path, render
from gateway.config.roster import roster
from gateway.config.schema import Config
from gateway.config.tree import find, indexed, leaves
from gateway.runtime import Live


def change_of(live: Live, wanted: Managed) -> tuple[list[dict[str, Any]], Config]:
    """What would be other settings with the document ``wanted``, those that wait for a restart included, and
    all settings as they would be then. Raises `ConfigError`. It takes its time: to be called in a thread."""
    managed = live.managed
    now, config = managed.effective.config, managed.combined(wanted.overlay)
    if managed.managed is not None and wanted.clients == managed.managed.clients:
        return _differences(both(now, None), both(config, None)), config
    clients, _ = roster(config, managed.file.values, wanted, managed.clients)
    return _differences(both(now, managed.clients), both(config, clients)), config


def _differences(before: Shown, after: Shown) -> list[dict[str, Any]]:
    """By path, as it may be shown: the masks of a secret may be the same. Null stands for what is not set."""
    (masked, actual), (new_masked, new_actual) = map(_by_path, before), map(_by_path, after)
    return [
        {"path": render(path), "before": masked.get(path), "after": new_masked.get(path)}
        for path in {**masked, **new_masked}
        if masked.get(path) != new_masked.get(path) or actual.get(path) != new_actual.get(path)
    ]


def _by_path(values: Any) -> dict[Path, Any]:
    values = indexed(values)
    return {path: find(values, path)[1] for path in leaves(values)}
