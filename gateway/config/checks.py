"""What must hold between settings: names that are unique, known, and spelt right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError

from gateway.config import listen
from gateway.config.known import Known
from gateway.config.problems import Fault, Path
from gateway.config.schema import (
    ClientConfig,
    ConfigStore,
    PluginSection,
    Policy,
    ProviderConfig,
    RuntimeStore,
    Section,
    Server,
    Sink,
    StoreSection,
)
from gateway.config.schema_clients import ANY, RESERVED_CLIENT_IDS
from gateway.config.schema_providers import NEED_KEYS
from gateway.config.suggest import hint, nearest

_SURELY_MEANT = 0.8
"""So close to a setting of ours that it is none of a plugin's."""
_S = TypeVar("_S", bound=Section)


@dataclass(slots=True)
class Draft:
    """What can be compared with each other: every section without the settings that are broken."""

    providers: dict[Path, ProviderConfig] = field(default_factory=dict)
    provider_ids: set[str] = field(default_factory=set)
    """Also of providers that are not sound."""
    clients: dict[Path, ClientConfig] = field(default_factory=dict)
    sinks: dict[Path, Sink] = field(default_factory=dict)
    stores: dict[Path, StoreSection] = field(default_factory=dict)
    policy: Policy | None = None
    server: Server | None = None
    workers: object = 1
    """``server.workers`` as it is given."""
    misspelt: list[Fault] = field(default_factory=list)


def draft(root: dict[str, Any]) -> Draft:
    """Gather what can be checked."""
    found = Draft()
    providers = _entries(root, ("llm_providers",))
    found.providers = _sound(ProviderConfig, providers)
    found.provider_ids = {str(p.get("id") or p.get("type")) for _, p in providers if isinstance(p, dict)}
    found.clients = _sound(ClientConfig, _entries(root, ("api_keys",)))
    sinks = _entries(root, ("logging", "providers"))
    found.sinks = _sound(Sink, sinks)
    config_store = [(("storage", "config"), _at(root, ("storage", "config")))]
    runtime_store = [(("storage", "runtime"), _at(root, ("storage", "runtime")))]
    found.stores |= _sound(ConfigStore, config_store)
    found.stores |= _sound(RuntimeStore, runtime_store)
    found.workers = _at(root, ("server", "workers"))
    found.server = _sound(Server, [((), root.get("server") or {})]).get(())
    found.policy = _sound(Policy, [((), root.get("policy") or {})]).get(())
    for kind, entries in (
        (ProviderConfig, providers),
        (Sink, sinks),
        (StoreSection, config_store + runtime_store),
    ):
        found.misspelt += _misspelt(kind, entries)
    return found


def check(found: Draft, known: Known | None) -> Iterator[Fault]:
    """Every fault between the settings; names of plugins only where it is known which there are."""
    yield from found.misspelt
    if found.server:
        yield from _addresses(found.server)
    yield from _providers(found)
    yield from _clients(found)
    yield from _stores(found)
    sink_names = ((path, sink.name) for path, sink in found.sinks.items())
    yield from _unique(sink_names, "name", "a sink of this name")
    if found.policy:
        for i, provider in enumerate(found.policy.fallback.providers):
            yield from _provider_known(("policy", "fallback", "providers", i), provider, found)
    if known:
        yield from _plugins(found, known)


def _at(root: Any, path: Path) -> Any:
    for step in path:
        root = root.get(step) if isinstance(root, dict) else None
    return root


def _entries(root: dict[str, Any], path: Path) -> list[tuple[Path, Any]]:
    entries = _at(root, path)
    return [((*path, i), entry) for i, entry in enumerate(entries)] if isinstance(entries, list) else []


def _sound(kind: type[_S], entries: Iterable[tuple[Path, Any]]) -> dict[Path, _S]:
    """The entries as sections, without the settings that are broken; none where that leaves no section."""
    sound = {}
    for path, entry in entries:
        try:
            sound[path] = kind.model_validate(entry)
        except ValidationError as error:  # reported when the whole is validated
            broken = {
                one["loc"][0] for one in error.errors(include_url=False, include_input=False) if one["loc"]
            }
            if isinstance(entry, dict) and broken & entry.keys():
                rest = {name: value for name, value in entry.items() if name not in broken}
                sound |= _sound(kind, [(path, rest)])
    return sound


def _misspelt(kind: type[PluginSection], entries: Iterable[tuple[Path, Any]]) -> Iterator[Fault]:
    for path, entry in entries:
        for name in entry.keys() - kind.model_fields.keys() if isinstance(entry, dict) else ():
            if near := nearest(name, kind.model_fields, _SURELY_MEANT):
                yield Fault((*path, name), f'unknown setting; did you mean "{near}"?')


def _unique(names: Iterable[tuple[Path, str]], last: str, what: str) -> Iterator[Fault]:
    seen: set[str] = set()
    for path, name in names:
        if name in seen:
            yield Fault((*path, last), f"there is {what} already; each must be unique")
        seen.add(name)


def _addresses(server: Server) -> Iterator[Fault]:
    apart = server.admin_listen
    if apart is not None and listen.clash(listen.parse(server.listen), listen.parse(apart)):
        message = "is where server.listen listens: leave it out to serve both there, or name another port"
        yield Fault(("server", "admin_listen"), message)


def _providers(found: Draft) -> Iterator[Fault]:
    ids = ((path, provider.id) for path, provider in found.providers.items())
    yield from _unique(ids, "id", "a provider of this id")
    for path, provider in found.providers.items():
        given = provider.api_keys
        keys = (((*path, "api_keys", i), key.id) for i, key in enumerate(given) if key not in given[:i])
        yield from _unique(keys, "id", "a key of this id (or this very key)")
        if provider.type in NEED_KEYS and not provider.api_keys:
            yield Fault((*path, "api_keys"), f"is required: {provider.type} takes no request without a key")
        if provider.type == "custom" and provider.base_url is None:
            yield Fault((*path, "base_url"), "is required: custom has no address of its own")


def _clients(found: Draft) -> Iterator[Fault]:
    clients = found.clients
    yield from _unique(((path, client.id) for path, client in clients.items()), "id", "a client of this id")
    secrets = ((path, client.key.get_secret_value()) for path, client in clients.items())
    yield from _unique(secrets, "key", "a client with this key")
    for path, client in clients.items():
        if client.id in RESERVED_CLIENT_IDS:
            yield Fault((*path, "id"), "is reserved: choose another", f'"{client.id}"')
        for i, provider in enumerate(client.allowed_providers):
            if provider != ANY:
                yield from _provider_known((*path, "allowed_providers", i), provider, found)


def _provider_known(path: Path, provider: str, found: Draft) -> Iterator[Fault]:
    if provider not in found.provider_ids:
        message = f"no provider has this id{hint(provider, found.provider_ids)}"
        yield Fault(path, message, f'"{provider}"')


def _stores(found: Draft) -> Iterator[Fault]:
    workers = str(found.workers)
    several = workers == "auto" or (workers.isdecimal() and int(workers) > 1)
    for path, store in found.stores.items():
        if several and store.type == "memory":
            message = f"memory is for one process, and server.workers is {workers}: use file"
            yield Fault((*path, "type"), message, '"memory"')
        if store.type in ("redis", "http") and store.addr is None:
            yield Fault((*path, "addr"), f"is required: where is the {store.type} store?")
        elif store.type == "http" and store.addr and not store.addr.startswith(("http://", "https://")):
            yield Fault((*path, "addr"), "must be a URL that begins with http:// or https://")


def _plugins(found: Draft, known: Known) -> Iterator[Fault]:
    def unknown(path: Path, name: str, names: frozenset[str], what: str) -> Iterator[Fault]:
        if name not in names:
            yield Fault(path, f"there is no {what} of this name{hint(name, names)}", f'"{name}"')

    for path, provider in found.providers.items():
        yield from unknown((*path, "type"), provider.type, known.providers, "provider")
    for path, sink in found.sinks.items():
        yield from unknown((*path, "type"), sink.type, known.sinks, "log sink")
    for path, store in found.stores.items():
        names = known.config_stores if path[-1] == "config" else known.stores
        yield from unknown((*path, "type"), store.type, names, "store")
    if found.policy:
        yield from unknown(("policy", "algorithm"), found.policy.algorithm, known.algorithms, "algorithm")
