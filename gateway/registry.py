"""Plugins by name: entry point to class, settings to instance; errors name the path and the near miss."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any, Self, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from gateway.config.faults import written, wrong
from gateway.config.known import Known
from gateway.config.problems import ConfigError, Problem, render, steps
from gateway.config.suggest import hint

GROUPS = ("providers", "stores", "config_stores", "log_sinks", "algorithms")
OWN = "coo-llm"
"""The distribution that the gateway itself is."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of ``coo-llm plugins``."""

    group: str
    name: str
    distribution: str
    version: str
    error: str | None
    """Why it fails to load."""
    ignored: str | None = None
    """Why another one of its name counts in its place."""


class Registry:
    """All plugins that are installed. Nothing is imported before it is asked for by name."""

    def __init__(
        self,
        found: Mapping[str, Mapping[str, EntryPoint]],
        ignored: Mapping[str, Sequence[EntryPoint]] = MappingProxyType({}),
    ) -> None:
        """``found``: by group and name; ``ignored``: what has a name there in vain."""
        self._found = found
        self._ignored = ignored
        self._classes: dict[tuple[str, str], type] = {}

    @classmethod
    def discover(cls) -> Self:
        """Read the entry points of every installed distribution. Of several of one name the gateway's own
        counts, else that of the distribution whose name comes first: the order on disk decides nothing."""
        found: dict[str, dict[str, EntryPoint]] = {group: {} for group in GROUPS}
        ignored: dict[str, list[EntryPoint]] = {group: [] for group in GROUPS}
        for group in GROUPS:
            for point in sorted(entry_points(group=f"coo_llm.{group}"), key=_precedence):
                if found[group].setdefault(point.name, point) is not point:
                    ignored[group].append(point)
        return cls(found, ignored)

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
        """Every plugin with its origin, and why it fails to load if it does; what is ignored comes after
        what counts in its place."""
        rows = []
        for group, points in self._found.items():
            for name, point in sorted(points.items()):
                try:
                    self.load(group, name, name)
                    error = None
                except ConfigError as refused:
                    error = refused.errors[0].message
                rows.append(Listed(group, name, *_origin(point), error))
                rows += [
                    Listed(group, name, *_origin(other), None, _why_ignored(point))
                    for other in self._ignored.get(group, ())
                    if other.name == name
                ]
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
        where = steps(path)
        problems = [
            Problem(render((*where, setting)), None, f"{name!r} has no such setting{hint(setting, known)}")
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
            setting, colon, fault = str(exc).partition(": ")
            if colon and setting.partition(".")[0] in known:
                raise _refused(f"{path}.{setting}", fault) from exc
            raise _refused(path, str(exc)) from exc
        except Exception as exc:  # its bug
            raise _refused(path, f"the plugin {name!r} fails: {_words(exc)}") from exc

    def accepts(self, group: str, name: str, path: str) -> frozenset[str]:
        """Names of the settings that the plugin has."""
        cls = self.load(group, name, path)
        return frozenset(field.name for field in dataclasses.fields(cls) if field.init)


def _origin(point: EntryPoint) -> tuple[str, str]:
    """The distribution's name and version."""
    return (point.dist.name, point.dist.version) if point.dist else ("?", "?")


def _precedence(point: EntryPoint) -> tuple[bool, str]:
    name = _canonical(_origin(point)[0])
    return name != OWN, name


def _why_ignored(counts: EntryPoint) -> str:
    name = _origin(counts)[0]
    rule = "the gateway's own" if _canonical(name) == OWN else "the first by distribution"
    return f"{name} has one of this name, and {rule} counts"


def _canonical(distribution: str) -> str:
    """The name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _refused(path: str, message: str) -> ConfigError:
    return ConfigError([Problem(path, None, message)])


def _words(exc: Exception) -> str:
    return f"{type(exc).__name__}: {exc}"


def _problems(error: ValidationError, settings: Mapping[str, Any], path: str) -> Iterator[Problem]:
    for one in error.errors(include_url=False, include_input=False):
        where = (*steps(path), *one["loc"])
        if one["type"] == "missing":
            yield Problem(render(where), None, "is required")
        else:
            fault = wrong(one, where, written(settings, one["loc"]))
            yield Problem(render(where), None, fault.message, fault.got)


@cache
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
