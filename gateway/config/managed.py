"""The one document that ``storage.config`` keeps: what was made and set through the admin API."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from gateway.api import StoreUnavailable
from gateway.config.problems import ConfigError
from gateway.config.tree import indexed

FORMAT = 1
"""To be raised when an older version could not read what is written."""


class DamagedDocument(StoreUnavailable):
    """The document is none of ours, or of a newer version: as good as out of reach, and never overwritten."""


@dataclass(frozen=True, slots=True)
class ClientKey:
    """A client's key, of which only the hash is kept."""

    digest: str
    """SHA-256, in hex digits."""
    until: float | None = None
    """Seconds since the epoch; None: for ever. A key that was rotated out has an end."""


@dataclass(frozen=True, slots=True)
class ManagedClient:
    """A client made through the admin API, or what was changed there of one in the file."""

    settings: dict[str, Any]
    """As in the file, without id and key."""
    keys: tuple[ClientKey, ...] = ()
    """None: those of the file."""
    created_at: float | None = None
    """Seconds since the epoch; None where it is one of the file's."""


@dataclass(frozen=True, slots=True)
class Managed:
    """All that was made through the admin API."""

    overlay: dict[str, Any] = field(default_factory=dict)
    """Settings on top of the file's; secrets in it are sealed."""
    clients: dict[str, ManagedClient] = field(default_factory=dict)
    """By id."""
    disabled: frozenset[str] = frozenset()
    """Provider keys that are not to be used: ``PROVIDER_ID/KEY_ID``."""
    clients_existed: bool = False
    """There has been a client, if only in a file."""


_MANAGED = TypeAdapter(Managed)


def parse(data: bytes) -> Managed:
    """The document; no bytes at all are an empty one. Raises `DamagedDocument`."""
    if not data:
        return Managed()
    try:
        values = orjson.loads(data)
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise DamagedDocument(
                "the document in storage.config was not written by this version: restore it, or delete it "
                "to go on with the file alone"
            )
        managed = _MANAGED.validate_python(values)
        indexed(managed.overlay)  # what has no id cannot be found in it, and is none of ours
    except (orjson.JSONDecodeError, ValidationError, ConfigError):
        raise DamagedDocument(
            "the document in storage.config is damaged: restore it, or delete it to go on with the file alone"
        ) from None
    return managed


def serialise(managed: Managed) -> bytes:
    """The document: the same bytes for the same content."""
    values = {
        "format": FORMAT,
        "overlay": managed.overlay,
        "clients": managed.clients,
        "disabled": sorted(managed.disabled),
        "clients_existed": managed.clients_existed,
    }
    return orjson.dumps(values, option=orjson.OPT_SORT_KEYS)
