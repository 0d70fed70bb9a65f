"""Plugins by name: entry point to class, settings to instance; errors name the path and the near miss."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Self, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from gateway.config.faults import show
from gateway.config.known import Known
from gateway.config.problems import ConfigError, Problem
from gateway.config.suggest import hint

GROUPS = ("providers", "stores", "config_stores", "log_sinks", "algorithms")


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of ``coo-llm plugins``."""

    group: str
    name: str
    distribution: str
    version: str
    error: str | None


class Registry:
    """All plugins that are installed. Nothing is imported before it is asked for by name."""

    def __init__(self, found: Mapping[str, Mapping[str, EntryPoint]]) -> None:
        self._found = found
        self._classes: dict[tuple[str, str], type] = {}

    @classmethod
    def discover(cls) -> Self:
        """Read the entry points of every installed distribution; the first of a name counts."""
        found: dict[str, dict[str, EntryPoint]] = {group: {} for group in GROUPS}
        for group in GROUPS:
            for point in entry_points(group=f"coo_llm.{group}"):
                found[group].setdefault(point.name, point)
        return cls(found)

    def known(self) -> Known:
        """The names a configuration may use."""
        names = {group: frozenset(points) for group, points in self._found.items()}
        return Known(
            providers=names["providers"],
            stores=names["stores"],
            sinks=names["log_sinks"],
            algorithms=names["algorithms"],
            config_stores=names["config_stores"],
        )

    def listing(self) -> list[Listed]:
        """Every plugin with its origin, and why it fails to load if it does."""
        rows = []
        for group, points in self._found.items():
            for name, point in sorted(points.items()):
                dist = point.dist
                try:
                    self.load(group, name, name)
                    error = None
                except ConfigError as refused:
                    error = refused.errors[0].message
                rows.append(
                    Listed(group, name, dist.name if dist else "?", dist.version if dist else "?", error)
                )
        return rows

    def load(self, group: str, name: str, path: str) -> type:
        """The plugin's class. Raises `ConfigError` if there is none of that name, it does not import, or its
        settings cannot be read from it."""
        known = self._classes.get((group, name))
        if known is not None:
            return known
        point = self._found[group].get(name)
        if point is None:
            raise _refused(path, f"no plugin is called {name!r}{hint(name, self._found[group])}")
        try:
            loaded = point.load()
        except Exception as exc:  # whatever a third party's module does at import
            raise _refused(path, f"the plugin {name!r} fails to import: {_words(exc)}") from exc
        if not (isinstance(loaded, type) and dataclasses.is_dataclass(loaded)):
            raise _refused(path, f"the plugin {name!r} is not a dataclass, so it has no settings to read")
        try:
            _model(loaded)
        except Exception as exc:  # annotations that name what is not there when it runs
            raise _refused(path, f"the plugin {name!r} has unreadable settings: {_words(exc)}") from exc
        self._classes[group, name] = loaded
        return loaded

    def build(self, group: str, name: str, settings: Mapping[str, Any], path: str) -> Any:
        """An instance with ``settings`` checked against the plugin's fields; ``path`` is where they stand.

        Raises `ConfigError` with every setting that is unknown, missing or of a wrong type.
        """
        cls = self.load(group, name, path)
        known = self.accepts(group, name, path)
        problems = [
            Problem(f"{path}.{setting}", None, f"{name!r} has no such setting{hint(setting, known)}")
            for setting in settings
            if setting not in known
        ]
        try:
            checked = _model(cls).model_validate({key: settings[key] for key in known & settings.keys()})
        except ValidationError as exc:
            raise ConfigError([*problems, *_problems(exc, settings, path)]) from exc
        if problems:
            raise ConfigError(problems)
        try:
            return cls(**{field: getattr(checked, field) for field in checked.model_fields_set})
        except ValueError as exc:  # the plugin's own check in __post_init__
            raise _refused(path, str(exc)) from exc
        except Exception as exc:  # its bug
            raise _refused(path, f"the plugin {name!r} fails: {_words(exc)}") from exc

    def accepts(self, group: str, name: str, path: str) -> frozenset[str]:
        """Names of the settings that the plugin has."""
        cls = self.load(group, name, path)
        return frozenset(field.name for field in dataclasses.fields(cls) if field.init)


def _refused(path: str, message: str) -> ConfigError:
    return ConfigError([Problem(path, None, message)])


def _words(exc: Exception) -> str:
    return f"{type(exc).__name__}: {exc}"


def _problems(error: ValidationError, settings: Mapping[str, Any], path: str) -> Iterator[Problem]:
    for one in error.errors(include_url=False, include_input=False):
        setting = one["loc"][0]
        where = ".".join(map(str, (path, *one["loc"])))
        if one["type"] == "missing":
            yield Problem(where, None, "is required")
        else:
            yield Problem(where, None, one["msg"], show(one["loc"], settings[str(setting)]))


def _model(cls: type) -> type[BaseModel]:
    """The plugin's fields as a model that checks and converts settings."""
    hints = get_type_hints(cls)
    fields: dict[str, Any] = {
        field.name: (hints[field.name], _default(field)) for field in dataclasses.fields(cls) if field.init
    }
    return create_model(cls.__name__, __config__=ConfigDict(arbitrary_types_allowed=True), **fields)


def _default(field: dataclasses.Field[Any]) -> Any:
    """Required or not is all the model needs to know: unset fields keep the dataclass's own default."""
    required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    return ... if required else None
