"""Where log lines go: the file or stderr, and every sink that the configuration names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

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
    makes = {
        sink.name: partial(build_sink, sink, registry, f"logging.providers.{index}")
        for index, sink in enumerate(config.providers)
    }
    if config.file.enabled:
        settings = config.file.model_dump(exclude={"enabled"})
        makes = {FILE: partial(registry.build, "log_sinks", "jsonl", settings, "logging.file"), **makes}
    return dict(zip(makes, gather(*makes.values()), strict=True))


def build_sink(config: Sink, registry: Registry, path: str) -> LogSink:
    """A sink beyond the log file. Raises `ConfigError` with all that is wrong with it."""
    if config.name in (FILE, STDERR):
        raise ConfigError([Problem(f"{path}.name", None, "is reserved: choose another", f'"{config.name}"')])
    settings = dict(config.settings)
    if "batch" in registry.accepts("log_sinks", config.type, path):
        settings["batch"] = config.batch.model_dump()
    sink: LogSink = registry.build("log_sinks", config.type, settings, path)
    return sink


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
