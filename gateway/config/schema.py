"""The configuration: every setting with its type and default. The attributes are named as in the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from gateway.config.fields import NotEmpty, Text, Unquoted
from gateway.config.schema_clients import (
    Alias,
    BudgetConfig,
    ClientConfig,
    ClientLimitsConfig,
    ResolvedAlias,
    Target,
)
from gateway.config.schema_logging import (
    AuditConfig,
    BatchConfig,
    LogFileConfig,
    LoggingConfig,
    PrometheusConfig,
    SinkConfig,
)
from gateway.config.schema_policy import (
    AffinityConfig,
    CacheConfig,
    CircuitBreakerConfig,
    FallbackConfig,
    HybridWeightsConfig,
    PolicyConfig,
    QueueConfig,
    RetryConfig,
)
from gateway.config.schema_providers import (
    KeyConfig,
    LimitsConfig,
    ModelConfig,
    PricingConfig,
    ProviderConfig,
    TimeoutConfig,
)
from gateway.config.schema_server import CorsConfig, ServerConfig, TlsConfig, WebUiConfig
from gateway.config.schema_storage import (
    ConfigStore,
    RetentionConfig,
    RuntimeStore,
    StorageConfig,
    StoreConfig,
)
from gateway.config.section import PluginSection, Section

__all__ = [
    "DERIVED",
    "AffinityConfig",
    "Alias",
    "AuditConfig",
    "BatchConfig",
    "BudgetConfig",
    "CacheConfig",
    "CircuitBreakerConfig",
    "ClientConfig",
    "ClientLimitsConfig",
    "Config",
    "ConfigStore",
    "CorsConfig",
    "FallbackConfig",
    "HybridWeightsConfig",
    "KeyConfig",
    "LimitsConfig",
    "LogFileConfig",
    "LoggingConfig",
    "ModelConfig",
    "PluginSection",
    "PolicyConfig",
    "PricingConfig",
    "PrometheusConfig",
    "ProviderConfig",
    "QueueConfig",
    "ResolvedAlias",
    "RetentionConfig",
    "RetryConfig",
    "RuntimeStore",
    "Section",
    "ServerConfig",
    "SinkConfig",
    "StorageConfig",
    "StoreConfig",
    "Target",
    "TimeoutConfig",
    "TlsConfig",
    "WebUiConfig",
]


DERIVED: Mapping[str, frozenset[str]] = {
    "ProviderConfig": frozenset({"id", "name", "type"}),
    "KeyConfig": frozenset({"id"}),
    "ClientConfig": frozenset({"id"}),
    "SinkConfig": frozenset({"name"}),
}
"""By section: what it requires and what is filled in from its other settings if it is left out."""


class Config(Section):
    """The whole of it."""

    version: Annotated[Literal["1.0"], Unquoted] = "1.0"
    server: ServerConfig = ServerConfig()
    logging: LoggingConfig = LoggingConfig()
    storage: StorageConfig = StorageConfig()
    llm_providers: Annotated[tuple[ProviderConfig, ...], NotEmpty] = Field(json_schema_extra={"minItems": 1})
    api_keys: tuple[ClientConfig, ...] | None = None
    """None: no clients are configured (as opposed to a list that is empty)."""
    model_aliases: dict[Text, Alias] = Field(default={})
    policy: PolicyConfig = PolicyConfig()
