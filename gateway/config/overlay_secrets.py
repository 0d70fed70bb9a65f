"""The secrets in what was set through the admin API: sealed under the master key, opened, and masked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.config.masked import is_secret, mask, without_userinfo
from gateway.config.overlay import Overlay
from gateway.config.problems import ConfigError, Path, Problem, render
from gateway.config.substitute import Substituted
from gateway.config.tree import transform
from gateway.vault import MARK, Vault, VaultError


def sealed(patch: Overlay, vault: Vault) -> Overlay:
    """The patch with its secrets sealed. Raises `NoMasterKey` if there is one that cannot be."""

    def leaf(path: Path, value: Any) -> Any:
        return vault.seal(value, render(path)) if holds_secret(path, value) else value

    values: Overlay = transform(patch, leaf)
    return values


def opened(overlay: Overlay, vault: Vault) -> Overlay:
    """The overlay with its secrets. Raises `ConfigError` with all that cannot be opened."""
    problems: list[Problem] = []

    def change(secret: str, path: str) -> object:
        try:
            return Substituted(vault.open(secret, path))
        except VaultError as error:
            problems.append(Problem(path, None, str(error)))
            return secret

    values = _each_sealed(overlay, change)
    if problems:
        raise ConfigError(problems)
    return values


def resealed(overlay: Overlay, vault: Vault) -> Overlay:
    """The overlay with all secrets under the present master key; those that cannot be opened stay."""

    def change(secret: str, path: str) -> str:
        if vault.current(secret):
            return secret
        try:
            return vault.seal(vault.open(secret, path), path)
        except VaultError:
            return secret

    return _each_sealed(overlay, change)


def hidden(overlay: Overlay, vault: Vault) -> Overlay:
    """The overlay as it may be shown."""

    def change(secret: str, path: str) -> str:
        try:
            return mask(vault.open(secret, path))
        except VaultError:
            return "…"

    return _each_sealed(overlay, change)


def holds_secret(path: Path, value: Any) -> bool:
    """Whether what is set at ``path`` is a secret, by its name or by what is in it."""
    if not isinstance(value, str):
        return False
    named = path[0] != "model_aliases" and is_secret(path)
    return named or without_userinfo(value) != value or value.startswith(MARK)


def _each_sealed(overlay: Overlay, change: Callable[[str, str], object]) -> Overlay:
    """The overlay with each sealed secret replaced by what ``change`` makes of it and its path."""

    def leaf(path: Path, value: Any) -> Any:
        sealed = isinstance(value, str) and value.startswith(MARK)
        return change(value, render(path)) if sealed else value

    changed: Overlay = transform(overlay, leaf)
    return changed
