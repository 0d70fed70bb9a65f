"""Plugins by name: what is found, what loads, and every fault of their settings at once."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from gateway.config.problems import ConfigError
from gateway.config.substitute import Substituted
from gateway.registry import GROUPS, Registry

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class Delay:
    """A plugin."""

    seconds: float
    secret: str = "none"
    unit: str = "s"

    def __post_init__(self) -> None:
        if self.seconds < 0:
            raise ValueError("seconds: must not be negative")
        if self.unit not in ("s", "ms"):
            raise KeyError(self.unit)


@dataclass
class Unreadable:
    """A plugin with a setting of a type that is only known to the type checker."""

    names: Sequence[str] = ()


def function() -> None:
    """No plugin."""


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    module = ModuleType("acme_plugins")
    module.__dict__.update(Delay=Delay, Unreadable=Unreadable, function=function)
    monkeypatch.setitem(sys.modules, "acme_plugins", module)
    attributes = {
        "delay": "Delay",
        "function": "function",
        "missing": "Missing",
        "unreadable": "Unreadable",
    }
    points = {
        name: EntryPoint(name, f"acme_plugins:{attribute}", "coo_llm.providers")
        for name, attribute in attributes.items()
    }
    return Registry({"providers": points, "stores": {}, "log_sinks": {}, "algorithms": {}})


def problems(registry: Registry, plugin: str = "delay", /, **settings: object) -> list[str]:
    """What is said against the settings, at the path ``p``."""
    with pytest.raises(ConfigError) as refused:
        registry.build("providers", plugin, settings, "p")
    return [str(problem) for problem in refused.value.errors]


def test_settings_become_fields(registry: Registry) -> None:
    assert registry.build("providers", "delay", {"seconds": Substituted("1.5")}, "p") == Delay(1.5)
    assert registry.accepts("providers", "delay", "p") == {"seconds", "secret", "unit"}


def test_every_fault_at_once(registry: Registry) -> None:
    assert problems(registry, secnds=1, unit=5) == [
        "p.secnds: 'delay' has no such setting; did you mean \"seconds\"?",
        "p.seconds: is required",
        "p.unit: must be text: put it in quotes (got 5)",
    ]


def test_secrets_are_not_shown(registry: Registry) -> None:
    [said] = problems(registry, seconds=1, secret=12345)
    assert said == "p.secret: must be text: put it in quotes (got …)"
    [said] = problems(registry, seconds=Substituted("canary"))
    assert "canary" not in said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"seconds": -1}, "p.seconds: must not be negative"),
        ({"seconds": "soon"}, 'p.seconds: must be a number (got "soon")'),
        ({"seconds": 1, "unit": "h"}, "p: the plugin 'delay' fails: KeyError: 'h'"),
    ],
)
def test_what_a_plugin_itself_refuses(registry: Registry, settings: dict[str, object], said: str) -> None:
    assert problems(registry, "delay", **settings) == [said]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dely", "p: no plugin is called 'dely'; did you mean \"delay\"?"),
        ("function", "p: the plugin 'function' is not a dataclass, so it has no settings to read"),
        ("missing", "p: the plugin 'missing' fails to import: AttributeError: "),
        ("unreadable", "p: the plugin 'unreadable' has unreadable settings: NameError: "),
    ],
)
def test_what_is_no_plugin(registry: Registry, name: str, said: str) -> None:
    [problem] = problems(registry, name)
    assert problem.startswith(said)


def test_the_listing_says_what_fails(registry: Registry) -> None:
    listed = {row.name: row.error for row in registry.listing()}
    assert listed["delay"] is None
    assert "not a dataclass" in str(listed["function"])
    assert "AttributeError" in str(listed["missing"])
    assert "NameError" in str(listed["unreadable"])


def test_what_is_installed_loads() -> None:
    registry = Registry.discover()
    listed = registry.listing()
    assert [row for row in listed if row.error is not None] == []
    assert {row.group for row in listed} == set(GROUPS)
    assert "echo" in registry.known().providers
