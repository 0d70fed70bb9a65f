"""The configuration: every setting with its type and default. The attributes are named as in the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from gateway.config.fields import NotEmpty, Text, Unquoted
from gateway.config.schema_clients import (
    Alias,
    Budget,
    ClientConfig,
    ClientLimits,
    ResolvedAlias,
    Target,
)
from gateway.config.schema_logging import Audit, Batch, LogFile, Logging, Prometheus, Sink
from gateway.config.schema_policy import (
    Affinity,
    Cache,
    CircuitBreaker,
    Fallback,
    HybridWeights,
    Policy,
    Queue,
    Retry,
)
from gateway.config.schema_providers import (
    KeyConfig,
    KeyLimits,
    ModelConfig,
    Pricing,
    ProviderConfig,
    Timeout,
)
from gateway.config.schema_server import Cors, Server, Tls, WebUi
from gateway.config.schema_storage import ConfigStore, Retention, RuntimeStore, Storage, StoreSection
from gateway.config.section import PluginSection, Section

__all__ = [
    "DERIVED",
    "Affinity",
    "Alias",
    "Audit",
    "Batch",
    "Budget",
    "Cache",
    "CircuitBreaker",
    "ClientConfig",
    "ClientLimits",
    "Config",
    "ConfigStore",
    "Cors",
    "Fallback",
    "HybridWeights",
    "KeyConfig",
    "KeyLimits",
    "LogFile",
    "Logging",
    "ModelConfig",
    "PluginSection",
    "Policy",
    "Pricing",
    "Prometheus",
    "ProviderConfig",
    "Queue",
    "ResolvedAlias",
    "Retention",
    "Retry",
    "RuntimeStore",
    "Section",
    "Server",
    "Sink",
    "Storage",
    "StoreSection",
    "Target",
    "Timeout",
    "Tls",
    "WebUi",
]


DERIVED: Mapping[str, frozenset[str]] = {
    "ProviderConfig": frozenset({"id", "name", "type"}),
    "KeyConfig": frozenset({"id"}),
    "ClientConfig": frozenset({"id"}),
    "Sink": frozenset({"name"}),
}
"""By section: what it requires and what is filled in from its other settings if it is left out."""


class Config(Section):
    """The whole of it."""

    version: Annotated[Literal["1.0"], Unquoted] = "1.0"
    server: Server = Server()
    logging: Logging = Logging()
    storage: Storage = Storage()
    llm_providers: Annotated[tuple[ProviderConfig, ...], NotEmpty] = Field(json_schema_extra={"minItems": 1})
    api_keys: tuple[ClientConfig, ...] | None = None
    """None: no clients are configured (as opposed to a list that is empty)."""
    model_aliases: dict[Text, Alias] = Field(default={})
    policy: Policy = Policy()
