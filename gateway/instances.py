"""Plugins: from sections of the configuration to instances, and all that is wrong with any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from pydantic import SecretStr

from gateway.api import Algorithm, ConfigStore, LogSink, Provider, Store
from gateway.config.checks import Draft
from gateway.config.known import Known
from gateway.config.problems import ConfigError, Problem, gather, render
from gateway.config.schema import Config, Policy, ProviderConfig
from gateway.config.schema_storage import StoreSection
from gateway.registry import Registry
from gateway.sinks import build_sink, build_sinks

_GROUPS = {"storage.runtime": "stores", "storage.config": "config_stores"}


class Plugins(NamedTuple):
    """An instance of every plugin that a configuration names."""

    providers: list[Provider]
    """In the order of ``llm_providers``."""
    algorithm: Algorithm
    sinks: Mapping[str, LogSink]
    store: Store


def build_plugins(config: Config, registry: Registry) -> Plugins:
    """Raises `ConfigError` with all that is wrong with any plugin's settings. Nothing is opened."""
    *providers, algorithm, sinks, store, _ = gather(
        *(
            partial(_provider, section, registry, f"llm_providers.{index}")
            for index, section in enumerate(config.llm_providers)
        ),
        partial(build_algorithm, config.policy, registry),
        partial(build_sinks, config.logging, registry),
        partial(_stored, config.storage.runtime, registry, "storage.runtime"),
        partial(build_config_store, config, registry),  # only checked: `build_managed` has the one in use
    )
    return Plugins(providers, algorithm, sinks, store)


def installed(registry: Registry) -> Known:
    """The plugins that a configuration may name, and what they say against their settings in one."""
    return replace(registry.known(), refused=partial(_refused, registry))


def _refused(registry: Registry, found: Draft) -> Sequence[Problem]:
    """As what `build_plugins` raises, of the sections that can be made something of."""
    makes = [
        *(partial(_provider, section, registry, render(path)) for path, section in found.providers.items()),
        *(partial(build_sink, section, registry, render(path)) for path, section in found.sinks.items()),
        *(partial(_stored, section, registry, render(path)) for path, section in found.stores.items()),
        *([partial(build_algorithm, found.policy, registry)] if found.policy else ()),
    ]
    try:
        gather(*makes)
    except ConfigError as error:
        return error.errors
    return ()


def build_algorithm(policy: Policy, registry: Registry) -> Algorithm:
    """The routing algorithm that the policy names, with those of the policy's settings that it has."""
    offered: dict[str, Any] = {"priority": policy.priority}
    if policy.hybrid_weights is not None:
        offered["hybrid_weights"] = policy.hybrid_weights.model_dump()
    accepted = registry.accepts("algorithms", policy.algorithm, "policy.algorithm")
    settings = {setting: value for setting, value in offered.items() if setting in accepted}
    algorithm: Algorithm = registry.build("algorithms", policy.algorithm, settings, "policy")
    return algorithm


def build_config_store(config: Config, registry: Registry) -> ConfigStore:
    """The store of what is set through the admin API."""
    store: ConfigStore = _stored(config.storage.config, registry, "storage.config")
    return store


def _stored(section: StoreSection, registry: Registry, path: str) -> Any:
    group, name = _GROUPS[path], section.type
    accepted = registry.accepts(group, name, path)
    common = {field: getattr(section, field) for field in StoreSection.model_fields if field in accepted}
    revealed = {
        field: value.get_secret_value() if isinstance(value, SecretStr) else value
        for field, value in common.items()
        if value is not None
    }
    return registry.build(group, name, {**revealed, **section.settings}, path)


def _provider(config: ProviderConfig, registry: Registry, path: str) -> Provider:
    settings = dict(config.settings)
    if config.base_url is not None:
        settings["base_url"] = config.base_url
    plugin: Provider = registry.build("providers", config.type, settings, path)
    return plugin
