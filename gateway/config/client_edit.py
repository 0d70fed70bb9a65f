"""Making, changing and removing clients: each a change of the document that the admin API writes."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import ValidationError

from gateway.config.faults import explain
from gateway.config.managed import ClientKey, Managed, ManagedClient
from gateway.config.masked import masked_section
from gateway.config.overlay_patch import same
from gateway.config.problems import ConfigError, Problem, render
from gateway.config.read import Loaded
from gateway.config.roster import KnownClient, in_file
from gateway.config.schema import ClientConfig, Section
from gateway.config.schema_clients import ANY, RESERVED_CLIENT_IDS, ClientSettings
from gateway.config.suggest import hint
from gateway.config.tree import CLIENTS, merge

_KEY_BYTES = 24
_S = TypeVar("_S", bound=Section)


class Taken(Exception):
    """Another client has this id or this key already; the message says which."""


class UnknownClient(Exception):
    """There is no client of this id."""


class FromTheFile(Exception):
    """The client is one of the file's, where alone it can be removed."""


def new_secret() -> str:
    """A client's key nobody can guess: 192 bits."""
    return f"sk-coo-{secrets.token_urlsafe(_KEY_BYTES)}"


def create(managed: Managed, file: Loaded, body: Mapping[str, Any], now: float) -> Managed:
    """A client with the settings and the ``key`` of ``body``; its id may be left to the key.

    Raises `Taken`, and `ConfigError` with what is wrong with the body.
    """
    checked = validated(ClientConfig, dict(body))
    kept = managed.clients.get(checked.id)  # perhaps of a client that is no more in the file: it gives way
    if checked.id in file.clients or (kept is not None and kept.created_at is not None):
        raise Taken(f'there is a client with the id "{checked.id}" already')
    key = _key(checked.key.get_secret_value(), managed, file, checked.id)
    if checked.id in RESERVED_CLIENT_IDS:
        raise ConfigError([Problem("id", None, "is reserved: choose another", f'"{checked.id}"')])
    _check_providers(checked, file)
    settings = {
        name: value for name, value in body.items() if name not in ("id", "key") and value is not None
    }
    return _with(managed, checked.id, ManagedClient(settings, (key,), now))


def edited(managed: Managed, file: Loaded, id_: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """What of ``body`` is not as it is shown now: who reads a client and edits it sends back the rest, too,
    and that is to stay as the file has it.

    Raises `UnknownClient`.
    """
    settings = merge(in_file(file.values).get(id_), _entry(managed, file, id_).settings, drop_nulls=True)
    try:
        now = masked_section(validated(ClientSettings, {**settings, "id": id_}), CLIENTS)
    except ConfigError:  # what was kept need not be valid any more
        now = {}
    return _edited(body, now)


def change(managed: Managed, file: Loaded, id_: str, body: Mapping[str, Any]) -> Managed:
    """Other settings for a client, null for what is to be as by default, and perhaps another ``key``.

    Raises `UnknownClient`, `Taken`, and `ConfigError` with what is wrong with the body.
    """
    entry = _entry(managed, file, id_)
    patch = {name: value for name, value in body.items() if name not in ("id", "key")}
    of_file = id_ in file.clients
    merged = merge(dict(entry.settings), patch, drop_nulls=not of_file)
    whole = merge(in_file(file.values).get(id_), merged, drop_nulls=True)
    secret, keys = body.get("key"), entry.keys
    if secret is None:
        checked = validated(ClientSettings, {**whole, "id": id_})
    else:
        checked = validated(ClientConfig, {**whole, "id": id_, "key": secret})
        keys = (_key(secret, managed, file, id_),)
    if "allowed_providers" in patch:  # those that it has may be gone since
        _check_providers(checked, file)
    return _with(managed, id_, replace(entry, settings=merged, keys=keys))


def rotate(managed: Managed, file: Loaded, id_: str, secret: str, until: float) -> Managed:
    """Another key for a client; those it had are good ``until`` then (seconds since the epoch) at most.

    Raises `UnknownClient` and `Taken`, and `ConfigError` for the admin key.
    """
    entry = _entry(managed, file, id_)
    had = entry.keys or file.clients[id_].keys
    ends = [ClientKey(key.digest, until if key.until is None else min(key.until, until)) for key in had]
    return _with(managed, id_, replace(entry, keys=(_key(secret, managed, file, None), *ends)))


def remove(managed: Managed, file: Loaded, id_: str) -> Managed:
    """Without a client that was made through the admin API.

    Raises `UnknownClient`, and `FromTheFile` for one that was not.
    """
    _entry(managed, file, id_)
    if id_ in file.clients:
        raise FromTheFile
    return revert(managed, id_)


def revert(managed: Managed, id_: str) -> Managed:
    """Without all that was set of a client. Raises `KeyError` if nothing was."""
    clients = dict(managed.clients)
    del clients[id_]
    return replace(managed, clients=clients, clients_existed=True)


def pruned(managed: Managed, now: float) -> Managed:
    """Without the keys that have come to their end before ``now`` (seconds since the epoch)."""
    left = {
        id_: replace(client, keys=tuple(key for key in client.keys if not _ended(key, now)))
        for id_, client in managed.clients.items()
        if any(_ended(key, now) for key in client.keys)
    }
    return replace(managed, clients={**managed.clients, **left}) if left else managed


def _ended(key: ClientKey, now: float) -> bool:
    return key.until is not None and key.until <= now


def validated(kind: type[_S], values: dict[str, Any]) -> _S:
    """``values`` as a section of this ``kind``. Raises `ConfigError` with paths that begin in it."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        faults = explain(error, values, kind)
        raise ConfigError([Problem(render(f.path), None, f.message, f.got) for f in faults]) from None


def _edited(body: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _edited(value, now[name])
        if isinstance(value, dict) and isinstance(now.get(name), dict)
        else value
        for name, value in body.items()
        if name not in now or not same(value, now[name])
    }


def _entry(managed: Managed, file: Loaded, id_: str) -> ManagedClient:
    if id_ not in managed.clients and id_ not in file.clients:
        raise UnknownClient
    return managed.clients.get(id_) or ManagedClient({})


def _with(managed: Managed, id_: str, client: ManagedClient) -> Managed:
    return replace(managed, clients={**managed.clients, id_: client}, clients_existed=True)


def _key(secret: str, managed: Managed, file: Loaded, own: str | None = None) -> ClientKey:
    """``own``: the client that may have this key already.

    Raises `Taken`, and `ConfigError` for the admin key.
    """
    admin = file.config.server.admin_api_key
    if admin is not None and secrets.compare_digest(secret.encode(), admin.get_secret_value().encode()):
        raise ConfigError([Problem("key", None, "is server.admin_api_key: a client needs one of its own")])
    digest = hashlib.sha256(secret.encode()).hexdigest()
    everyone: list[tuple[str, KnownClient | ManagedClient]] = [
        *file.clients.items(),
        *managed.clients.items(),
    ]
    for id_, client in everyone:
        if id_ != own and any(key.digest == digest for key in client.keys):
            raise Taken(f'the client "{id_}" has this key already')
    return ClientKey(digest)


def _check_providers(client: ClientSettings, file: Loaded) -> None:
    """Raises `ConfigError` for every provider that there is not."""
    providers = {provider.id for provider in file.config.llm_providers}
    unknown = [
        Problem(
            f"allowed_providers.{i}", None, f"no provider has this id{hint(name, providers)}", f'"{name}"'
        )
        for i, name in enumerate(client.allowed_providers)
        if name != ANY and name not in providers
    ]
    if unknown:
        raise ConfigError(unknown)
