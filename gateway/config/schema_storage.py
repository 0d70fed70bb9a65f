"""``storage:``: where windows, records and changes made through the admin API are kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.config.fields import BlankIsNone, Credential, Duration, Name, Secret, Text, Whole
from gateway.config.section import PluginSection, Section


class StoreSection(PluginSection):
    """A store and how to reach it; which of these settings count depends on its type."""

    type: Name = "file"
    path: Text = "./data/coo-llm.db"
    addr: Annotated[Text | None, BlankIsNone] = Field(default=None, repr=False)
    """redis: ``host:6379`` or a URL, which may hold a password; http: a URL."""
    password: Annotated[Secret | None, BlankIsNone] = None
    database: Whole = 0
    api_key: Annotated[Credential | None, BlankIsNone] = None
    timeout: Duration = 5.0


class ConfigStore(StoreSection):
    """Keeps the overlay, clients and provider keys made through the admin API."""

    path: Text = "./data/config.json"


class RuntimeStore(StoreSection):
    """Keeps windows, usage records and cache entries."""


class Retention(Section):
    """How long is kept what grows, in seconds."""

    requests: Duration = 30 * 86400.0
    rollups: Duration = 400 * 86400.0


class Storage(Section):
    """Everything that outlives a request."""

    config: ConfigStore = ConfigStore()
    runtime: RuntimeStore = RuntimeStore()
    journal: Text = "./data/journal"
    retention: Retention = Retention()
    on_trouble: Literal["local", "closed", "open"] = "local"
    master_key: Annotated[Secret | None, BlankIsNone] = None
    """Encrypts provider keys at rest; also taken from ``COO_LLM_MASTER_KEY``."""
