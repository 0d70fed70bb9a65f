"""The form for the settings of ``policy`` that are changed most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from gateway.admin.pages.settings import Setting, told
from gateway.config.editing import scalar
from gateway.config.schema_policy import Policy
from gateway.config.tree import find, merge

_PLACE = "policy"
_SWITCH = (("true", "on"), ("false", "off"))


@dataclass(frozen=True, slots=True)
class Field:
    """One of them, by its path below ``policy``."""

    name: str
    label: str
    options: Sequence[tuple[str, str]] = ()
    """Pairs of a value and its text; none: it is typed."""
    hint: str = ""

    @property
    def path(self) -> str:
        """As errors name it."""
        return f"{_PLACE}.{self.name}"


_FIELDS = (
    Field("algorithm", "Algorithm"),
    Field("priority", "Priority"),
    Field("on_exhausted", "When all keys are limited"),
    Field("fallback.enabled", "Fallback", _SWITCH),
    Field("retry.max_attempts", "Attempts", hint="In all, over all candidates."),
    Field("retry.timeout", "Timeout of an attempt", hint="Such as 30s; empty: the provider's own."),
    Field("cache.enabled", "Response cache", _SWITCH),
    Field("cache.ttl_seconds", "Cached for", hint="Such as 10s or 5m."),
)


def fields(algorithms: Iterable[str]) -> list[Field]:
    """All of them, with the ``algorithms`` that are installed."""
    options = {"algorithm": sorted(algorithms)}
    for name in ("priority", "on_exhausted"):
        options[name] = list(get_args(Policy.model_fields[name].annotation))
    return [
        Field(one.name, one.label, [(option, option) for option in options[one.name]])
        if one.name in options
        else one
        for one in _FIELDS
    ]


def in_force(settings: Iterable[Setting]) -> dict[str, str]:
    """What the form holds as long as nobody has changed it."""
    values = {setting.name: setting.value for setting in settings if setting.path[0] == _PLACE}
    return {one.name: _shown(values.get(one.path)) for one in _FIELDS}


def patch_of(form: Mapping[str, str], effective: Mapping[str, Any]) -> dict[str, Any]:
    """What a form would change: the fields in it that hold something else than ``effective``."""
    patch: dict[str, Any] = {}
    for one in _FIELDS:
        path = (_PLACE, *one.name.split("."))
        now = _shown(find(effective, path)[1])
        if form.get(one.name, now).strip() != now:
            value: Any = scalar(form[one.name])
            for step in reversed(path):
                value = {step: value}
            patch = merge(patch, value, drop_nulls=False)
    return patch


def _shown(value: Any) -> str:
    """As the form's field has it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return told(value)
