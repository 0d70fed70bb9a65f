"""Every Prometheus metric: plain numbers on the request's path, made into families only at a scrape."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from gateway.api.usage import Usage
from gateway.processes import Processes

MAX_SERIES = 20_000
"""Label sets a family may have; what comes after them is counted under ``other``."""

DURATION_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600)
FIRST_TOKEN_BUCKETS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 20, 60)
OVERHEAD_BUCKETS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1)
RELOADS = ("ok", "unchanged", "invalid")
CACHE_EVENTS = ("hit", "miss", "coalesced")
JOURNAL_EVENTS = ("dropped", "rejected", "late", "damaged", "torn")
TOKEN_TYPES = ("input", "cache_read", "cache_write", "audio_input", "output", "reasoning", "audio_output")

_REQUEST = ("provider", "model", "client")
_MODEL = ("provider", "model")
_GAUGES = {
    "in_flight_requests": ("Requests being served by a provider.", ("provider",)),
    "key_state": ("1 for the state a provider key is in, 0 for the others.", ("provider", "key", "state")),
    "key_window_ratio": ("Used share of a provider key's window.", ("provider", "key", "kind")),
    "store_degraded": ("1 while a store is out of reach and its fallback rules.", ("store",)),
    "config_invalid": ("1 while a configuration with errors waits to be mended.", ()),
    "journal_durable": ("1 while usage records are written to the journal, 0 while they cannot be.", ()),
    "journal_pending_records": ("Usage records that the store does not have yet.", ()),
    "scrape_complete": ("1 where a scrape tells of all processes, 0 where of one worker's gauges alone.", ()),
    "event_loop_lag_seconds": ("How late the event loop's last timer fired.", ()),
}


Snapshot = Mapping[str, Any]
"""What one process has counted, and how its gauges stand, as plain JSON values."""


class Sample(NamedTuple):
    """A gauge as it stands at a scrape."""

    name: str
    """Without its ``coo_llm_``: a key of the gauges above."""
    labels: tuple[str, ...]
    value: float


class Histogram:
    """Counts per bucket; the buckets' upper bounds are in seconds."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds

    def add(self, counts: Sequence[int], seconds: float) -> None:
        """Count what another one of the same bounds has counted."""
        self.counts = [ours + theirs for ours, theirs in zip(self.counts, counts, strict=True)]
        self.sum += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative counts as the text format wants them."""
        bounds = [*map(str, map(float, self.bounds)), "+Inf"]
        return list(zip(bounds, accumulate(list(self.counts)), strict=True))


class ModelSeries:
    """The histograms of one provider and model."""

    __slots__ = ("duration", "first_token", "overhead")

    def __init__(self) -> None:
        self.duration = Histogram(DURATION_BUCKETS)
        self.first_token = Histogram(FIRST_TOKEN_BUCKETS)
        self.overhead = Histogram(OVERHEAD_BUCKETS)

    def all(self) -> tuple[Histogram, Histogram, Histogram]:
        return (self.duration, self.first_token, self.overhead)


class RequestSeries:
    """What is counted of one provider, model and client; held by the caller while its request runs."""

    __slots__ = ("_model", "cost_nano", "counts", "statuses")

    def __init__(self, model: ModelSeries) -> None:
        self._model = model
        self.statuses: dict[int, int] = {}
        self.counts = [0] * len(TOKEN_TYPES)
        self.cost_nano = 0

    def done(self, status: int, seconds: float, overhead: float, first_token: float | None) -> None:
        """Count a finished request; times in seconds, ``first_token`` None where there was none."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        model = self._model
        model.duration.observe(seconds)
        model.overhead.observe(overhead)
        if first_token is not None:
            model.first_token.observe(first_token)

    def tokens(self, usage: Usage) -> None:
        counts = self.counts
        counts[0] += usage.input
        counts[1] += usage.cache_read
        counts[2] += usage.cache_write
        counts[3] += usage.audio_input
        counts[4] += usage.output
        counts[5] += usage.reasoning
        counts[6] += usage.audio_output

    def cost(self, nano: int) -> None:
        """Add a cost in nano-dollars."""
        self.cost_nano += nano


class Counter:
    """A family of counters, one number for each tuple of label values."""

    __slots__ = ("help", "labels", "name", "values")

    def __init__(self, name: str, help: str, labels: tuple[str, ...], *known: str) -> None:
        """``known``: values of the only label, told from the start, so that a first event is an increase."""
        self.name, self.help, self.labels = name, help, labels
        self.values: dict[tuple[str, ...], int] = {(value,): 0 for value in known}

    def add(self, *labels: str, count: int = 1) -> None:
        values = self.values
        if labels not in values and len(values) >= MAX_SERIES:
            labels = ("other",) * len(labels)
        values[labels] = values.get(labels, 0) + count

    def family(self) -> CounterMetricFamily:
        family = CounterMetricFamily(f"coo_llm_{self.name}", self.help, labels=self.labels)
        for labels, value in list(self.values.items()):
            family.add_metric(labels, value)
        return family


class Metrics:
    """The metrics of one process, or of several (`add`). Written on the event loop; `render` and `snapshot`
    may run in any thread.

    Callers pass names from the configuration only: a client's made-up model is theirs to turn into ``other``.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, version: str, *, process: bool = True) -> None:
        """``process``: this process's own CPU seconds, memory, … are part of it."""
        self._version = version
        self._processes = Processes(ours=process)
        self._requests: dict[tuple[str, str, str], RequestSeries] = {}
        self._models: dict[tuple[str, str], ModelSeries] = {}
        self.gauges: Sequence[Sample] = ()
        """How the gauges stand; taken on the event loop, just before `render`."""
        self.whole = True
        """False: figures of others are missing. Only gauges are rendered: counters would seem to go back."""
        self._attempts = Counter("upstream_attempts", "Tries at upstreams.", ("provider", "key", "outcome"))
        self._errors = Counter("errors", "Requests that ended in an error.", ("provider", "code"))
        self._rate_limited = Counter("rate_limited", "Refusals by a limit.", ("scope", "id", "kind"))
        self._near_limit = Counter("key_near_limit", "Key windows at 80 %.", ("provider", "key", "kind"))
        self._unknown_price = Counter("unknown_price", "Answers without a known price.", _MODEL)
        self._cache = Counter("cache_events", "What the response cache did.", ("event",), *CACHE_EVENTS)
        self._reloads = Counter("config_reloads", "Configuration reloads.", ("result",), *RELOADS)
        self._sinks = Counter("sink_dropped", "Log lines that were not delivered.", ("sink",))
        self._stores = Counter("store_errors", "Store calls that failed.", ("store", "operation"))
        self._lost: dict[str, float] = {}  # when each sink has lost lines last, on the monotonic clock
        self._journal = Counter(
            "journal_events", "What went wrong with usage records.", ("event",), *JOURNAL_EVENTS
        )
        self._admin = Counter("admin_requests", "Admin API calls.", ("route", "status"))
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._counters = (
            *(self._attempts, self._errors, self._rate_limited, self._near_limit, self._unknown_price),
            *(self._cache, self._reloads, self._sinks, self._stores, self._journal, self._admin),
        )

    def request(self, provider: str, model: str, client: str) -> RequestSeries:
        """The series of these labels, the same object for as long as the process lives."""
        series = self._requests.get((provider, model, client))
        return series if series is not None else self._new_request(provider, model, client)

    def attempt(self, provider: str, key: str, outcome: str) -> None:
        self._attempts.add(provider, key, outcome)

    def error(self, provider: str, code: str) -> None:
        self._errors.add(provider, code)

    def rate_limited(self, scope: str, subject: str, kind: str) -> None:
        """A ``scope`` (``client``, ``key``) with the id ``subject`` was refused by its ``kind`` of window."""
        self._rate_limited.add(scope, subject, kind)

    def near_limit(self, provider: str, key: str, kind: str) -> None:
        """A key's window passed 80 %."""
        self._near_limit.add(provider, key, kind)

    def unknown_price(self, provider: str, model: str) -> None:
        self._unknown_price.add(provider, model)

    def cache_event(self, event: str) -> None:
        self._cache.add(event)

    def config_reload(self, result: str) -> None:
        self._reloads.add(result)

    def sink_dropped(self, sink: str, count: int) -> None:
        self._sinks.add(sink, count=count)
        if count:
            self._lost[sink] = time.monotonic()

    def lost(self) -> dict[str, tuple[int, float]]:
        """How many lines each sink that lost any has lost, and when the last, on the monotonic clock."""
        return {sink: (self._sinks.values.get((sink,), 0), then) for sink, then in list(self._lost.items())}

    def store_error(self, store: str, operation: str) -> None:
        self._stores.add(store, operation)

    def journal_event(self, event: str, count: int) -> None:
        self._journal.add(event, count=count)

    def admin_request(self, route: str, status: int) -> None:
        """``route`` is the route's pattern, never the path that was asked for."""
        self._admin.add(route, str(status))

    def render(self) -> bytes:
        """All metrics in the text format, to be sent as `content_type`."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """The families, as prometheus_client's registry asks for them."""
        build = GaugeMetricFamily(
            "coo_llm_build_info", "Always 1; the version that runs.", labels=["version"]
        )
        build.add_metric([self._version], 1)
        yield build
        yield from self._gauge_families()
        if not self.whole:
            return
        yield from self._request_families()
        yield from self._model_families()
        for counter in self._counters:
            yield counter.family()
        yield from self._processes.collect()

    def snapshot(self) -> dict[str, Any]:
        """What `add` takes, of all that is counted here."""
        return {
            "requests": [
                (labels, list(series.statuses.items()), series.counts, series.cost_nano)
                for labels, series in list(self._requests.items())
            ],
            "models": [
                (labels, [(histogram.counts, histogram.sum) for histogram in series.all()])
                for labels, series in list(self._models.items())
            ],
            "counters": {counter.name: list(counter.values.items()) for counter in self._counters},
            "gauges": [tuple(sample) for sample in self.gauges],
            "process": self._processes.values(),
        }

    def add(self, snapshot: Snapshot) -> None:
        """Count what another process has counted. Its gauges are put beside ours: see `gateway.gauges`."""
        for labels, statuses, counts, cost in snapshot["requests"]:
            series = self.request(*labels)
            for status, count in statuses:
                series.statuses[status] = series.statuses.get(status, 0) + count
            series.counts = [ours + theirs for ours, theirs in zip(series.counts, counts, strict=True)]
            series.cost_nano += cost
        for labels, histograms in snapshot["models"]:
            model = self._models.setdefault((labels[0], labels[1]), ModelSeries())
            for histogram, (counts, seconds) in zip(model.all(), histograms, strict=True):
                histogram.add(counts, seconds)
        for counter in self._counters:
            for labels, value in snapshot["counters"][counter.name]:
                counter.add(*labels, count=value)
        gauges = [Sample(name, tuple(labels), value) for name, labels, value in snapshot["gauges"]]
        self.gauges = [*self.gauges, *gauges]
        self._processes.add(snapshot["process"])

    def _new_request(self, provider: str, model: str, client: str) -> RequestSeries:
        if len(self._requests) >= MAX_SERIES:
            provider = model = client = "other"
        histograms = self._models.setdefault((provider, model), ModelSeries())
        return self._requests.setdefault((provider, model, client), RequestSeries(histograms))

    def _request_families(self) -> Iterator[Metric]:
        requests = CounterMetricFamily("coo_llm_requests", "Client requests.", labels=[*_REQUEST, "status"])
        tokens = CounterMetricFamily(
            "coo_llm_tokens", "Tokens, each in one type.", labels=[*_REQUEST, "type"]
        )
        cost = CounterMetricFamily("coo_llm_cost_usd", "Cost where prices are known.", labels=_REQUEST)
        for labels, series in list(self._requests.items()):
            for status, count in list(series.statuses.items()):
                requests.add_metric((*labels, str(status)), count)
            for kind, count in zip(TOKEN_TYPES, series.counts, strict=True):
                if count:
                    tokens.add_metric((*labels, kind), count)
            if series.cost_nano:
                cost.add_metric(labels, series.cost_nano / 1e9)
        yield from (requests, tokens, cost)

    def _model_families(self) -> Iterator[Metric]:
        duration = HistogramMetricFamily(
            "coo_llm_request_duration_seconds", "From admission to the last byte.", labels=_MODEL
        )
        first = HistogramMetricFamily(
            "coo_llm_time_to_first_token_seconds",
            "From admission to a stream's first content.",
            labels=_MODEL,
        )
        overhead = HistogramMetricFamily(
            "coo_llm_overhead_seconds", "Duration less the waiting for upstreams and retries.", labels=_MODEL
        )
        for labels, series in list(self._models.items()):
            duration.add_metric(labels, series.duration.buckets(), series.duration.sum)
            first.add_metric(labels, series.first_token.buckets(), series.first_token.sum)
            overhead.add_metric(labels, series.overhead.buckets(), series.overhead.sum)
        yield from (duration, first, overhead)

    def _gauge_families(self) -> Iterator[Metric]:
        families = {
            name: GaugeMetricFamily(f"coo_llm_{name}", help, labels=labels)
            for name, (help, labels) in _GAUGES.items()
        }
        for name, labels, value in self.gauges:
            families[name].add_metric(labels, value)
        yield from families.values()
