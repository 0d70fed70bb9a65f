"""What a change of the configuration would come to: each setting that would be another, before and after."""

from __future__ import annotations

from typing import Any

from gateway.config.overlay_patch import Shown
from gateway.config.problems import Path, render
from gateway.config.tree import find, indexed, leaves


def differences(before: Shown, after: Shown) -> list[dict[str, Any]]:
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
