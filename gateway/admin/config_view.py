"""A configuration as the admin API shows it: secrets masked and, to compare with, as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.config.masked import mask, masked, masked_section, revealed, revealed_section
from gateway.config.overlay_patch import Shown
from gateway.config.roster import KnownClient, key_of
from gateway.config.schema import ClientConfig, Config
from gateway.config.tree import CLIENTS

HASHED_KEY = "…"
"""Stands for a client's key of which only the hash is kept."""

Clients = Mapping[str, KnownClient]
"""Every client by its id, also those that were made through the admin API."""


def both(config: Config, clients: Clients | None) -> Shown:
    """As shown, and as it is; without ``clients`` where these are None: there may be thousands."""
    actual = revealed(_less_clients(config))
    if clients is not None and _has_clients(config, clients):
        actual["api_keys"] = [_actual(client) for client in clients.values()]
    return Shown(as_shown(config, clients), actual)


def as_shown(config: Config, clients: Clients | None) -> dict[str, Any]:
    """With every secret masked; without ``clients`` where these are None."""
    values = masked(_less_clients(config))
    if clients is not None and _has_clients(config, clients):
        own = {client.id: client for client in config.api_keys or ()}
        values["api_keys"] = [_masked(client, own.get(id_)) for id_, client in clients.items()]
    return values


def _less_clients(config: Config) -> Config:
    return config.model_copy(update={"api_keys": None})


def _has_clients(config: Config, clients: Clients) -> bool:
    return bool(clients) or config.api_keys is not None


def _masked(client: KnownClient, own: ClientConfig | None) -> dict[str, Any]:
    """``own``: the client as the file alone has it. Of a key that was given here only the hash is known."""
    key = mask(own.key.get_secret_value()) if own and client.keys == (key_of(own),) else HASHED_KEY
    return {**masked_section(client.settings, CLIENTS), "key": key}


def _actual(client: KnownClient) -> dict[str, Any]:
    """Hashes stand for the keys."""
    return {**revealed_section(client.settings, CLIENTS), "key": [key.digest for key in client.keys]}
