"""What every section of the configuration has in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, model_validator

from gateway.config.problems import Path


class Section(BaseModel):
    """An immutable part of the configuration. A setting without a value (null) is as if absent."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: setting for name, setting in value.items() if setting is not None}
        return value


class PluginSection(Section):
    """A section that names a plugin by its ``type``: the plugin's own settings stand flat beside it."""

    model_config = ConfigDict(extra="allow")

    @property
    def settings(self) -> Mapping[str, Any]:
        """The plugin's own settings as they were read; the plugin checks them."""
        return self.model_extra or {}

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Without the plugin's settings: any of them may be a secret."""
        fields = type(self).model_fields
        return ((name, value) for name, value in super().__repr_args__() if name in fields)


def section_at(root: type[Section], path: Path) -> type[Section]:
    """The section that holds the last step of ``path``, as far as the models know it."""
    section = root
    for step in path[:-1]:
        field = section.model_fields.get(step) if isinstance(step, str) else None
        if field is not None:
            section = _section_in(field.annotation) or section
    return section


def _section_in(annotation: Any) -> type[Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section_in(part))), None)
