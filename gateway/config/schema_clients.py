"""``api_keys:`` and ``model_aliases:``: who may call, and what the models are called."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from gateway.config.fields import Credential, Dollars, Duration, Moment, Name, NotEmpty, Text, Weight, Whole
from gateway.config.schema_providers import identity
from gateway.config.section import Section

RESERVED_CLIENT_IDS = frozenset({"list", "anonymous"})
ANY = "*"
TARGET = r"^[^:\s]+:\S.*$"
TargetName = Annotated[str, Field(pattern=TARGET)]


class ClientLimits(Section):
    """What one client may use; 0 means no limit."""

    req_per_min: Whole = 0
    tokens_per_min: Whole = 0
    max_parallel: Whole = 0


class Budget(Section):
    """What one client may spend in any ``window``; 0 means no budget."""

    usd: Dollars = Decimal(0)
    window: Duration = 30 * 86400.0


class ClientSettings(Section):
    """A client, whatever its key."""

    id: Name
    """Unique; default: ``c-`` and 8 hex digits of the key's SHA-256."""
    allowed_providers: tuple[Text, ...] = (ANY,)
    allowed_models: tuple[Text, ...] = (ANY,)
    description: str = ""
    limits: ClientLimits = ClientLimits()
    budget: Budget = Budget()
    expires_at: Moment | None = None


class ClientConfig(ClientSettings):
    """A client and its key."""

    key: Credential

    @model_validator(mode="before")
    @classmethod
    def _default_id(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("id") is None and isinstance(value.get("key"), str):
            return {**value, "id": identity("c-", value["key"])}
        return value


class Target(Section):
    """A member of an alias' pool."""

    target: TargetName
    """``PROVIDER_ID:MODEL`` or ``TYPE:MODEL``."""
    weight: Weight = 1.0


def _target(value: Any) -> Any:
    return {"target": value} if isinstance(value, str) else value


def _pool(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


ResolvedAlias = tuple[
    Annotated[Target, BeforeValidator(_target, json_schema_input_type=TargetName | Target)], ...
]
Alias = Annotated[
    ResolvedAlias,
    NotEmpty,
    BeforeValidator(_pool, json_schema_input_type=TargetName | Target | ResolvedAlias),
]
"""In the file one target or a list of them; read, always a tuple."""
