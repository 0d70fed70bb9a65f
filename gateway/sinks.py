"""Where log lines go: the file or stderr, and every sink that the configuration names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from gateway.api import LogSink, Opening
from gateway.config.problems import ConfigError, Problem, gather
from gateway.config.schema_logging import Logging, Sink
from gateway.logs import LogHandler, StderrSink
from gateway.metrics import Metrics
from gateway.registry import Registry
from gateway.request_log import RequestLog

FILE = "file"
"""The log file's name among the sinks; operational lines go there as well."""
STDERR = "stderr"


def build_sinks(config: Logging, registry: Registry) -> dict[str, LogSink]:
    """The sinks by name. Raises `ConfigError` with all that is wrong with any."""

    def build(path: str, type_: str, settings: dict[str, Any]) -> LogSink:
        sink: LogSink = registry.build("log_sinks", type_, settings, path)
        return sink

    def further(index: int, sink: Sink) -> LogSink:
        path = f"logging.providers.{index}"
        if sink.name in (FILE, STDERR):
            raise ConfigError(
                [Problem(f"{path}.name", None, "is reserved: choose another", f'"{sink.name}"')]
            )
        settings = dict(sink.settings)
        if "batch" in registry.accepts("log_sinks", sink.type, path):
            settings["batch"] = sink.batch.model_dump()
        return build(path, sink.type, settings)

    makes = {sink.name: partial(further, index, sink) for index, sink in enumerate(config.providers)}
    if config.file.enabled:
        settings = config.file.model_dump(exclude={"enabled"})
        makes = {FILE: partial(build, "logging.file", "jsonl", settings), **makes}
    return dict(zip(makes, gather(*makes.values()), strict=True))


async def open_log(sinks: Mapping[str, LogSink], handler: LogHandler, metrics: Metrics) -> RequestLog:
    """Start feeding the sinks. Raises `ConfigError` for a sink that cannot work."""
    for name, sink in sinks.items():
        if isinstance(sink, Opening):
            try:
                await sink.open()
            except OSError as exc:
                reason = str(exc) if exc.filename is None else f"{exc.strerror}: {exc.filename}"
                raise ConfigError([Problem("", None, f"log sink {name}: {reason}")]) from exc
    if FILE not in sinks:
        sinks = {STDERR: StderrSink(handler), **sinks}
    for name in {*sinks, STDERR}:
        metrics.sink_dropped(name, 0)
    log = RequestLog(sinks, metrics.sink_dropped)
    handler.dropped = metrics.sink_dropped
    if FILE in sinks:
        handler.forward = log.inlet(FILE)
    return log
