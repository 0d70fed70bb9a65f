"""From a checked configuration to the objects that serve requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from math import ceil
from pathlib import Path

from gateway.api import Algorithm, Announcing, Limits, Prices, Provider, Serving, Store
from gateway.api.usage import NANO
from gateway.catalog import OTHER, Catalog, Key, Service, Target, Timeouts
from gateway.clients import ANONYMOUS, Client, Clients
from gateway.config.cautions import own_secrets
from gateway.config.read import Loaded
from gateway.config.roster import KnownClient
from gateway.config.schema import (
    Config,
    KeyConfig,
    KeyLimits,
    Policy,
    Pricing,
    ProviderConfig,
    ResolvedAlias,
)
from gateway.config.schema_policy import AFFINE
from gateway.config.schema_providers import KEYLESS
from gateway.instances import Plugins, build_config_store, build_plugins, installed
from gateway.managed import ManagedConfig
from gateway.redact import Redactor
from gateway.registry import Registry
from gateway.routing.affinity import Affinity
from gateway.routing.circuit import CircuitSettings
from gateway.routing.memory import Memory
from gateway.runtime import Runtime
from gateway.vault import Vault

_NANO_PER_TOKEN = 10**9 / 1000


def build_runtime(
    loaded: Loaded, plugins: Plugins, store: Store, memory: Memory, before: Clients | None = None
) -> Runtime:
    """A snapshot for one version of the configuration. Known meters and circuits get its settings; clients
    of ``before`` that have not changed are kept, and keys that are gone are forgotten."""
    config = loaded.config
    built = [
        _service(provider, plugin, memory)
        for provider, plugin in zip(config.llm_providers, plugins.providers, strict=True)
    ]
    memory.retain(key.state for service in built for key in service.keys)
    memory.disable(_disabled(loaded))
    return Runtime(
        version=loaded.version,
        config=config,
        catalog=_catalog(config, built, memory),
        clients=build_clients(loaded, store, memory, before),
        algorithm=_affine(config.policy, plugins.algorithm, memory),
        masked=[Redactor(secret) for secret in own_secrets(config)] if config.logging.content else None,
    )


def with_clients(runtime: Runtime, loaded: Loaded, store: Store, memory: Memory) -> Runtime:
    """``runtime`` for a version of the configuration with the same settings and perhaps other clients and
    disabled keys."""
    memory.disable(_disabled(loaded))
    return replace(
        runtime,
        version=loaded.version,
        clients=build_clients(loaded, store, memory, runtime.clients),
    )


def _disabled(loaded: Loaded) -> frozenset[str]:
    return loaded.managed.disabled if loaded.managed is not None else frozenset()


def _affine(policy: Policy, algorithm: Algorithm, memory: Memory) -> Algorithm:
    """``algorithm``, with affinity where that is on and means something."""
    affinity = policy.affinity
    if not affinity.enabled or policy.algorithm not in AFFINE:
        return algorithm
    return Affinity(algorithm, memory.uses, affinity.ttl, affinity.max_skew)


def journal_folder(config: Config) -> Path | None:
    """Where records wait for the store; None where that would not outlive this process either."""
    return None if config.storage.runtime.type == "memory" else Path(config.storage.journal)


def build_managed(file: Loaded, read: Callable[[], Loaded], registry: Registry) -> ManagedConfig:
    """The file as it was read, and will be again, with what the admin API puts on top of it."""
    master_key = file.config.storage.master_key
    return ManagedConfig(
        file=file,
        read=read,
        store=build_config_store(file.config, registry),
        vault=Vault(None if master_key is None else master_key.get_secret_value()),
        known=installed(registry),
        check=partial(build_plugins, registry=registry),
    )


def _service(config: ProviderConfig, plugin: Provider, memory: Memory) -> Service:
    keys = {key.id: key for key in config.api_keys or (KEYLESS,)}  # one that is given twice counts once
    timeout = config.timeout
    base_url = getattr(plugin, "base_url", None)  # a setting like others: any plugin may have one
    return Service(
        id=config.id,
        type=config.type,
        name=config.name or config.id,
        plugin=plugin,
        timeouts=Timeouts(timeout.connect, timeout.first_token, timeout.idle, timeout.total),
        headers=tuple(config.headers.items()),
        default_model=config.model or (config.models[0].name if config.models else None),
        keys=tuple(_key(config, key, memory) for key in keys.values()),
        headroom=plugin.headroom if isinstance(plugin, Announcing) else {},
        local=plugin if isinstance(plugin, Serving) else None,
        base_url=base_url if isinstance(base_url, str) else None,
    )


def _key(provider: ProviderConfig, key: KeyConfig, memory: Memory) -> Key:
    limits = provider.limits
    if key.limits is not None:
        limits = limits.model_copy(
            update={name: getattr(key.limits, name) for name in key.limits.model_fields_set}
        )
    state = memory.key(provider.id, key.id, _limits(limits))
    secret = key.key.get_secret_value()
    return Key(key.id, secret, state, limits.max_tokens, Redactor(secret))


def _limits(config: KeyLimits) -> Limits:
    return Limits(
        requests=config.req_per_min,
        tokens=config.tokens_per_min,
        parallel=config.max_parallel,
        session=config.session_limit,
        session_seconds=config.session_type,
    )


def _catalog(config: Config, services: list[Service], memory: Memory) -> Catalog:
    sections = {section.id: section for section in config.llm_providers}
    models = _listed_models(config)
    circuit = CircuitSettings(**config.policy.circuit_breaker.model_dump())
    cache: dict[tuple[str, str, float], tuple[Target, ...]] = {}

    def make(service: Service, model: str, listed: bool, weight: float) -> tuple[Target, ...]:
        found = cache.get((service.id, model, weight)) if listed else None
        if found is None:
            each = weight / len(service.keys) if weight else 1.0
            found = tuple(
                _target(sections[service.id], service, key, (model, listed, each)) for key in service.keys
            )
            if listed:
                cache[service.id, model, weight] = found
        return found

    def _target(
        section: ProviderConfig, service: Service, key: Key, named: tuple[str, bool, float]
    ) -> Target:
        model, listed, weight = named
        prices = _prices(section, key.id, model) if listed else Prices()
        state = memory.model(key.state, model if listed else "", circuit)
        return Target(
            provider=service.id,
            key=key.id,
            model=model,
            weight=weight,
            meter=key.state.meter,
            health=state.health,
            input_price=None if prices.input is None else float(prices.input) * _NANO_PER_TOKEN,
            output_price=None if prices.output is None else float(prices.output) * _NANO_PER_TOKEN,
            headroom=state.headroom,
            service=service,
            secret=key,
            prices=prices,
            state=state,
            label=model if listed else OTHER,
        )

    aliases = {
        alias: [(target.target, target.weight if _weighted(targets) else 0.0) for target in targets]
        for alias, targets in config.model_aliases.items()
    }
    return Catalog(services, models, aliases, make)


def _weighted(targets: ResolvedAlias) -> bool:
    """Whether an alias weighs its targets; if not, each key of each target counts the same."""
    return len({target.weight for target in targets}) > 1


def _listed_models(config: Config) -> Mapping[str, list[str]]:
    """The models each service is known to serve: its own list, and what aliases say of it."""
    listed: dict[str, dict[str, None]] = {}
    for provider in config.llm_providers:
        names = [provider.model, *(model.name for model in provider.models)]
        listed[provider.id] = dict.fromkeys(name for name in names if name)
    by_type: dict[str, list[str]] = {}
    for provider in config.llm_providers:
        by_type.setdefault(provider.type, []).append(provider.id)
    for targets in config.model_aliases.values():
        for target in targets:
            prefix, _, model = target.target.partition(":")
            for service in [prefix] if prefix in listed else by_type.get(prefix, ()):
                listed[service][model] = None
    return {service: list(names) for service, names in listed.items()}


def _prices(section: ProviderConfig, key_id: str, model: str) -> Prices:
    """The nearest pricing: the model's own, the key's, the provider's."""
    of_model = next((m.pricing for m in section.models if m.name == model and m.pricing), None)
    of_key = next((k.pricing for k in section.api_keys if k.id == key_id and k.pricing), None)
    return prices_of(of_model or of_key or section.pricing)


def prices_of(pricing: Pricing | None) -> Prices:
    """Configured prices as the accounting wants them."""
    if pricing is None:
        return Prices()
    return Prices(
        input=pricing.input_token_cost,
        output=pricing.output_token_cost,
        cache_read=pricing.cached_input_token_cost,
        cache_write=pricing.cache_write_token_cost,
        cache_write_1h=pricing.cache_write_1h_token_cost,
        reasoning=pricing.reasoning_token_cost,
        audio_input=pricing.audio_input_token_cost,
        audio_output=pricing.audio_output_token_cost,
        image=pricing.image_cost,
        audio_minute=pricing.audio_minute_cost,
        character=pricing.character_cost,
        search=pricing.search_cost,
    )


def build_clients(loaded: Loaded, store: Store, memory: Memory, before: Clients | None = None) -> Clients:
    """All clients of one version of the configuration; those of ``before`` that have not changed stay the
    same objects. Known meters get their limits."""
    managed = loaded.managed
    memory.clients_existed |= bool(loaded.clients) or (managed is not None and managed.clients_existed)
    clients: list[Client] = []
    for id_, known in loaded.clients.items():
        same = before.each(id_) if before is not None else ()
        clients += same if same and same[0].made_of is known else _client(known, store)
    return Clients(
        clients,
        Client(ANONYMOUS, b"", store.meter(f"client:{ANONYMOUS}", Limits())),
        open_to_all=loaded.config.server.allow_anonymous,
        existed=memory.clients_existed or managed is None,
    )


def _client(known: KnownClient, store: Store) -> Iterator[Client]:
    """The client once for each of its keys; one that was rotated out has an end of its own."""
    settings = known.settings
    limits = Limits(
        requests=settings.limits.req_per_min,
        tokens=settings.limits.tokens_per_min,
        parallel=settings.limits.max_parallel,
        budget=ceil(settings.budget.usd * NANO),
        budget_seconds=settings.budget.window,
    )
    providers, models = settings.allowed_providers, settings.allowed_models
    meter = store.meter(f"client:{settings.id}", limits)
    for key in known.keys:
        ends = [end for end in (_moment(settings.expires_at), key.until) if end is not None]
        yield Client(
            id=settings.id,
            digest=bytes.fromhex(key.digest),
            meter=meter,
            providers=None if "*" in providers else frozenset(providers),
            models=None if "*" in models else tuple(models),
            expires_at=min(ends, default=None),
            made_of=known,
        )


def _moment(when: datetime | None) -> float | None:
    return None if when is None else when.timestamp()
