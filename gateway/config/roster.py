"""Every client there is: the file's, what was changed of them through the admin API, and those made there."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import ValidationError

from gateway.config.managed import ClientKey, Managed, ManagedClient
from gateway.config.problems import render
from gateway.config.schema import ClientConfig, Config
from gateway.config.schema_clients import ClientSettings
from gateway.config.tree import CLIENTS, by_id, merge


@dataclass(frozen=True, slots=True)
class KnownClient:
    """A client as it is now."""

    settings: ClientSettings
    keys: tuple[ClientKey, ...] = field(repr=False)
    source: Literal["file", "api"]
    """Where it was made."""
    made_of: ManagedClient | None = field(default=None, repr=False)
    """What the admin API keeps of it."""


def roster(
    config: Config, values: Mapping[str, Any], managed: Managed, before: Mapping[str, KnownClient]
) -> tuple[dict[str, KnownClient], list[str]]:
    """All clients by id, and warnings. ``values``: the file's, of which ``config`` was made; those of
    ``before`` that are the same are the same objects. A key in the file is nobody else's."""
    clients = {client.id: KnownClient(client, (key_of(client),), "file") for client in config.api_keys or ()}
    warnings: list[str] = []
    there = in_file(values) if managed.clients else {}
    owners = {client.keys[0].digest: id_ for id_, client in clients.items()}
    for id_, entry in managed.clients.items():
        base = clients.get(id_)
        keys = tuple(key for key in entry.keys if owners.get(key.digest, id_) == id_)
        warnings += _cautions(id_, entry, owners, in_file=base is not None)
        known = before.get(id_)
        if base is None and entry.created_at is None:
            warnings.append(f"the client {id_} is no more in the file: what was changed of it waits for it")
            continue
        if base is None and known is not None and (known.source, known.made_of) == ("api", entry):
            clients[id_] = known if known.keys == keys else replace(known, keys=keys)
            continue
        merged = merge(there.get(id_), entry.settings, drop_nulls=True)
        try:
            settings = ClientSettings.model_validate({**merged, "id": id_})
        except ValidationError:
            warnings.append(
                f"the client {id_}: what was set through the admin API is not valid, and not used"
            )
            continue
        if base is None:
            clients[id_] = KnownClient(settings, keys, "api", entry)
        else:
            clients[id_] = KnownClient(settings, keys if entry.keys else base.keys, "file", entry)
    return clients, warnings


def _cautions(id_: str, entry: ManagedClient, owners: Mapping[str, str], *, in_file: bool) -> Iterator[str]:
    """What wants a second look where the file has the same client, or another with one of its keys."""
    to_take_back = f"to take back what was set of {id_}: coo-llm revert PATH {render((*CLIENTS, id_))}"
    if in_file and entry.created_at is not None:
        yield (
            f"the client {id_} of the file was made through the admin API as well: its settings and key "
            f"there count; {to_take_back}"
        )
    remedy = to_take_back if in_file else f"POST /admin/v1/clients/{id_}/rotate gives {id_} another"
    for key in entry.keys:
        owner = owners.get(key.digest, id_)
        if owner != id_ and key.until is None:  # one that was rotated out ends anyway
            yield (
                f"a key of the client {id_}, set through the admin API, is that of {owner} in the file, "
                f"and counts as {owner}'s alone; {remedy}"
            )


def of_file(managed: Managed, file: Collection[str]) -> dict[str, ManagedClient]:
    """What was set of clients of the file, which has those with the ids ``file``: of one that was made before
    it came there as well, and of one that is there no more."""
    return {
        id_: client for id_, client in managed.clients.items() if client.created_at is None or id_ in file
    }


def in_file(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What the file says of each client, by id, without the keys."""
    return {
        id_: {name: value for name, value in item.items() if name != "key"}
        for id_, item in by_id(CLIENTS, values.get("api_keys")).items()
    }


def key_of(client: ClientConfig) -> ClientKey:
    """The key that the file gives a client."""
    return ClientKey(hashlib.sha256(client.key.get_secret_value().encode()).hexdigest())
