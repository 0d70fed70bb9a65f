"""``storage:``: where windows, records and changes made through the admin API are kept."""

from __future__ import annotations

from typing import Annotated, Literal

from gateway.config.fields import BlankIsNone, Credential, Duration, Name, Secret, Text, Whole
from gateway.config.section import PluginSection, Section


class StoreConfig(PluginSection):
    """A store and how to reach it; which of these settings count depends on its type."""

    type: Name = "file"
    path: Text = "./data/coo-llm.db"
    addr: Annotated[Text | None, BlankIsNone] = None
    """redis: ``host:6379`` or a URL; http: a URL."""
    password: Annotated[Secret | None, BlankIsNone] = None
    database: Whole = 0
    api_key: Annotated[Credential | None, BlankIsNone] = None
    timeout: Duration = 5.0


class ConfigStore(StoreConfig):
    """Keeps the overlay, clients and provider keys made through the admin API."""

    path: Text = "./data/config.json"


class RuntimeStore(StoreConfig):
    """Keeps windows, usage records and cache entries."""


class RetentionConfig(Section):
    """How long is kept what grows, in seconds."""

    requests: Duration = 30 * 86400.0
    rollups: Duration = 400 * 86400.0


class StorageConfig(Section):
    """Everything that outlives a request."""

    config: ConfigStore = ConfigStore()
    runtime: RuntimeStore = RuntimeStore()
    journal: Text = "./data/journal"
    retention: RetentionConfig = RetentionConfig()
    on_trouble: Literal["local", "closed", "open"] = "local"
    master_key: Annotated[Secret | None, BlankIsNone] = None
    """Encrypts provider keys at rest; also taken from ``COO_LLM_MASTER_KEY``."""
