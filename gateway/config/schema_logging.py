"""``logging:``: what is written down about the traffic, and where it goes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gateway.config.fields import Duration, Flag, Name, Positive, Text, Whole
from gateway.config.section import PluginSection, Section


class LogFile(Section):
    """The gateway's own log file, rotated by size."""

    enabled: Flag = True
    path: Text = "./logs/coo-llm.log"
    max_size_mb: Positive = 100
    max_backups: Whole = 5


class Prometheus(Section):
    """Metrics in Prometheus' text format."""

    enabled: Flag = True
    endpoint: Annotated[str, Field(pattern=r"^/[\w./-]+$")] = "/metrics"
    public: Flag = False


class Audit(Section):
    """The chained log of what was done through the admin API."""

    enabled: Flag = True
    path: Text = "./logs/audit.log"


class Batch(Section):
    """How lines are gathered before a sink gets them."""

    enabled: Flag = True
    size: Positive = 100
    interval_seconds: Duration = 5.0


class Sink(PluginSection):
    """A further log sink."""

    name: Name
    """Unique; default: its type."""
    type: Name
    batch: Batch = Batch()

    @model_validator(mode="before")
    @classmethod
    def _default_name(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("name") is None and "type" in value:
            return {**value, "name": value["type"]}
        return value


class Logging(Section):
    """Logs, metrics and audit trail."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    file: LogFile = LogFile()
    prometheus: Prometheus = Prometheus()
    content: Flag = False
    """True: prompts and answers in the request log."""
    audit: Audit = Audit()
    providers: tuple[Sink, ...] = ()
