"""Who serves what: configured services, their keys and models, and what a model name stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.api import Candidate, Prices, Provider, Serving
from gateway.dialects.headroom import Announced
from gateway.redact import Redactor
from gateway.routing.memory import KeyState, ModelState

MAX_UNLISTED = 1024
"""Pools kept for names that are in no list (``ID:MODEL`` serves any model); the oldest go first."""

OTHER = "other"
"""Stands for names that are in no list where a name must be one of a few: in metrics."""

_FAMILIES = {
    "openai": (
        *("gpt-", "chatgpt-", "o1", "o3", "o4", "text-embedding-", "davinci", "babbage", "codex-"),
        *("omni-moderation-", "text-moderation-", "dall-e-", "tts-", "whisper-"),
    ),
    "gemini": ("gemini-", "gemma-", "learnlm-", "text-embedding-004"),
    "claude": ("claude-",),
}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. ``first_token`` is for streams; ``total`` spans the client's whole request."""

    connect: float
    first_token: float
    idle: float
    total: float


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """One API key of a service."""

    id: str
    secret: str = field(repr=False)
    state: KeyState
    max_tokens: int
    """Output tokens a request may ask for; 0 = no limit."""
    redactor: Redactor = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """One entry of ``llm_providers``."""

    id: str
    type: str
    name: str
    plugin: Provider
    timeouts: Timeouts
    headers: tuple[tuple[str, str], ...]
    default_model: str | None
    keys: tuple[Key, ...]
    headroom: Announced
    """The headers in which the upstream says how much of its own limits is left, if it does."""
    local: Serving | None
    """The plugin, if it answers in the process."""
    base_url: str | None
    """Of the plugin's settings, if it has an address."""


@dataclass(slots=True, eq=False)
class Target(Candidate):
    """A candidate with all that an attempt needs."""

    service: Service
    secret: Key
    state: ModelState
    """What is remembered of this key with this model; its health is also `health`."""
    prices: Prices
    label: str
    """The model's name in metrics."""
    lines: str = field(init=False, repr=False)
    """The response header lines that name it."""

    def __post_init__(self) -> None:
        self.lines = (
            f"x-coo-provider: {self.provider}\r\nx-coo-model: {self.model}\r\nx-coo-key: {self.key}\r\n"
        )


@dataclass(slots=True, eq=False)
class Pool:
    """What a model name stands for: its candidates in the order of the configuration."""

    name: str
    targets: tuple[Target, ...]
    scoped: dict[frozenset[str], tuple[Target, ...]] = field(default_factory=dict)

    def within(self, providers: frozenset[str] | None) -> tuple[Target, ...]:
        """The targets of these providers; None means all."""
        if providers is None:
            return self.targets
        found = self.scoped.get(providers)
        if found is None:
            found = tuple(target for target in self.targets if target.provider in providers)
            self.scoped[providers] = found
        return found


MakeTargets = Callable[[Service, str, bool, float], tuple[Target, ...]]
"""(service, model, whether it is listed, weight of its keys together or 0 for 1 each) to candidates."""


class Catalog:
    """Resolves model names: one look-up for every name that is listed."""

    def __init__(
        self,
        services: Sequence[Service],
        models: Mapping[str, Sequence[str]],
        aliases: Mapping[str, Sequence[tuple[str, float]]],
        make: MakeTargets,
    ) -> None:
        """``models``: the names each service lists, by its id; ``aliases``: (target, weight or 0) pairs;
        ``make`` gives the candidates of one model of a service."""
        self.services = {service.id: service for service in services}
        self._make = make
        self._listed = {service: frozenset(names) for service, names in models.items()}
        self._by_type: dict[str, list[Service]] = {}
        self._serving: dict[str, list[Service]] = {}
        for service in services:
            self._by_type.setdefault(service.type, []).append(service)
            for model in models[service.id]:
                self._serving.setdefault(model, []).append(service)
        self._pools: dict[str, Pool] = {}
        self._unlisted: dict[str, Pool] = {}
        self._list(aliases)

    def resolve(self, name: str) -> Pool | None:
        """What ``name`` stands for; None if nothing. First match: ``ID:MODEL``, ``TYPE:MODEL``, alias,
        bare model name, type inferred from the name. An explicit service or type serves any model."""
        pool = self._pools.get(name)
        return pool if pool is not None else self._resolve_unlisted(name)

    def named(self, address: str) -> list[tuple[str, str]]:
        """The ids of the services that ``ID:MODEL`` or ``TYPE:MODEL`` names, each with the model's name."""
        return [(service.id, model) for service, model in self._explicit(address)]

    def names(self) -> Mapping[str, Pool]:
        """Every name that is listed: aliases, ``ID:MODEL``, bare model names."""
        return self._pools

    def addresses(self) -> list[str]:
        """The base URLs of all services that have one."""
        return [service.base_url for service in self.services.values() if service.base_url is not None]

    def serving(self, model: str) -> Sequence[Service]:
        """The services that list ``model``."""
        return self._serving.get(model, ())

    def targets(self, service: Service, model: str, weight: float = 0.0) -> tuple[Target, ...]:
        """The candidates of one model of a service, one for each key."""
        return self._make(service, model, model in self._listed[service.id], weight)

    def _list(self, aliases: Mapping[str, Sequence[tuple[str, float]]]) -> None:
        """Fill the pools; what comes later has precedence."""
        for model, services in self._serving.items():
            if not self._explicit(model):
                self._pools[model] = self._pool(model, [(service, model, 0.0) for service in services])
        for alias, members in aliases.items():
            if not self._explicit(alias):
                found = [(*place, weight) for target, weight in members for place in self._explicit(target)]
                self._pools[alias] = self._pool(alias, found)
        for id_, service in self.services.items():
            for model in self._listed[id_]:
                name = f"{id_}:{model}"
                self._pools[name] = self._pool(name, [(service, model, 0.0)])

    def _pool(self, name: str, members: Iterable[tuple[Service, str, float]]) -> Pool:
        return Pool(name, tuple(target for member in members for target in self.targets(*member)))

    def _explicit(self, name: str) -> list[tuple[Service, str]]:
        """The services that ``ID:MODEL`` or ``TYPE:MODEL`` names; none if the name is neither."""
        prefix, colon, model = name.partition(":")
        if not colon or not model:
            return []
        if prefix in self.services:
            return [(self.services[prefix], model)]
        return [(service, model) for service in self._by_type.get(prefix, ())]

    def _resolve_unlisted(self, name: str) -> Pool | None:
        known = self._unlisted.get(name)
        if known is not None:
            return known
        found = self._explicit(name) or self._inferred(name)
        if not found:
            return None
        pool = self._pool(name, [(service, model, 0.0) for service, model in found])
        if len(self._unlisted) >= MAX_UNLISTED:
            del self._unlisted[next(iter(self._unlisted))]
        self._unlisted[name] = pool
        return pool

    def _inferred(self, name: str) -> list[tuple[Service, str]]:
        for type_, prefixes in _FAMILIES.items():
            if name.startswith(prefixes):
                return [(service, name) for service in self._by_type.get(type_, ())]
        return []
