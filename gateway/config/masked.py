"""The configuration as JSON values, with its secrets masked: the one form of it that may be shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, SecretStr

from gateway.config.problems import Path
from gateway.config.schema import Config, PluginSection
from gateway.config.substitute import Substituted

_SECRET = re.compile(r"(?:^|[_-])(?:api)?(?:keys?|secrets?|password|token|credentials?)$", re.IGNORECASE)
_USERINFO = re.compile(r"//[^/@\s]*@")
_REVEALING = 16


def mask(secret: str) -> str:
    """``sk-…ab12``; of a secret too short for that to be safe nothing is shown."""
    return f"{secret[:3]}…{secret[-4:]}" if len(secret) >= _REVEALING else "…"


def is_mask(value: object) -> bool:
    """Whether ``value`` can only be a secret that was shown masked: no key or password holds a ``…``."""
    return isinstance(value, str) and "…" in value


def without_userinfo(text: str) -> str:
    """A URL (or any text) without user and password."""
    return _USERINFO.sub("//…@", text)


def is_secret(path: Path) -> bool:
    """Whether what stands at ``path`` is a secret, judged by its name."""
    name = next((step for step in reversed(path) if isinstance(step, str)), "")
    return "headers" in path or _SECRET.search(name) is not None


def masked(config: Config) -> dict[str, Any]:
    """The effective configuration as JSON values. Durations are seconds, prices numbers."""
    return _section(config, (), mask)


def masked_section(section: BaseModel, path: Path) -> dict[str, Any]:
    """The section at ``path`` alone, as `masked` has it."""
    return _section(section, path, mask)


def revealed_section(section: BaseModel, path: Path) -> dict[str, Any]:
    """The section at ``path`` alone, as `revealed` has it."""
    return _section(section, path, str)


def revealed(config: Config) -> dict[str, Any]:
    """As `masked`, secrets included: to compare and to hash, never to show."""
    return _section(config, (), str)


def _section(section: BaseModel, path: Path, show: Callable[[str], str]) -> dict[str, Any]:
    values: dict[str, Any] = {
        name: _value(getattr(section, name), (*path, name), show) for name in type(section).model_fields
    }
    if isinstance(section, PluginSection):
        values |= {name: _value(own, (*path, name), show) for name, own in section.settings.items()}
    return values


def _value(value: Any, path: Path, show: Callable[[str], str]) -> Any:
    if isinstance(value, BaseModel):
        return _section(value, path, show)
    if isinstance(value, Mapping):
        return {name: _value(item, (*path, name), show) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_value(item, (*path, i), show) for i, item in enumerate(value)]
    if isinstance(value, SecretStr):
        return show(value.get_secret_value())
    if isinstance(value, str):
        if isinstance(value, Substituted) or is_secret(path):
            return show(value)
        return value if show is str else without_userinfo(value)
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, datetime) else value
