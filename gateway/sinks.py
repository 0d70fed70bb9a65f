"""Where log lines go: the file or stderr, and every sink that the configuration names."""

from __future__ import annotations

from gateway.api import LogSink, Store
from gateway.config.schema import Logging
from gateway.logs import LogHandler, StderrSink
from gateway.metrics import Metrics
from gateway.registry import PluginError, Registry
from gateway.request_log import RequestLog

FILE = "file"
"""The log file's name among the sinks; operational lines go there as well."""
STDERR = "stderr"


def build_sinks(config: Logging, registry: Registry, handler: LogHandler) -> dict[str, LogSink]:
    """The sinks by name. Raises `PluginError`."""
    sinks: dict[str, LogSink] = {}
    if config.file.enabled:
        settings = config.file.model_dump(exclude={"enabled"})
        sinks[FILE] = registry.build("log_sinks", "jsonl", settings, "logging.file")
    else:
        sinks[STDERR] = StderrSink(handler)
    for index, sink in enumerate(config.providers):
        path = f"logging.providers[{index}]"
        if sink.name in sinks:
            raise PluginError(f"{path}.name", f"{sink.name!r} is taken")
        settings = dict(sink.settings)
        if "batch" in registry.accepts("log_sinks", sink.type, path):
            settings["batch"] = sink.batch.model_dump()
        sinks[sink.name] = registry.build("log_sinks", sink.type, settings, path)
    return sinks


def open_log(sinks: dict[str, LogSink], handler: LogHandler, metrics: Metrics, store: Store) -> RequestLog:
    """Start feeding the sinks and the store; to be called on the event loop."""
    log = RequestLog(sinks, metrics.sink_dropped, store=store)
    handler.dropped = metrics.sink_dropped
    if FILE in sinks:
        handler.forward = log.inlet(FILE)
    return log
