"""Metrics: names, labels and figures as a scraper reads them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway import metrics as module
from gateway.api import Usage
from gateway.metrics import Metrics, Sample

ORDER = ["scope", "id", "provider", "model", "key", "client", "store", "operation", "route", "kind"]
ORDER += ["state", "event", "result", "sink", "version", "status", "type", "code", "outcome", "le"]


def scrape(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample by its name and label values (as ordered above), as the reference parser reads them."""
    return {
        (sample.name, tuple(sample.labels[name] for name in ORDER if name in sample.labels)): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("1.2.3")


def test_requests_tokens_and_cost(metrics: Metrics) -> None:
    series = metrics.request("openai", "gpt-4o", "app")
    series.done(200, 1.5, 0.003, 0.2)
    series.done(200, 0.7, 0.001, None)
    series.done(429, 0.001, 0.001, None)
    series.tokens(Usage(1, 2, 3, 4, 5, 6, 7))
    series.tokens(Usage(input=10))
    series.cost(15)
    series.cost(2_000_000_000)
    samples = scrape(metrics)
    labels = ("openai", "gpt-4o", "app")
    assert samples["coo_llm_requests_total", (*labels, "200")] == 2
    assert samples["coo_llm_requests_total", (*labels, "429")] == 1
    tokens = {key[-1]: value for (name, key), value in samples.items() if name == "coo_llm_tokens_total"}
    assert tokens == {
        "input": 11, "cache_read": 2, "cache_write": 3, "audio_input": 4,
        "output": 5, "reasoning": 6, "audio_output": 7,
    }  # fmt: skip
    assert samples["coo_llm_cost_usd_total", labels] == 2.000000015


def test_histograms_are_cumulative_and_agree_with_their_count(metrics: Metrics) -> None:
    series = metrics.request("openai", "gpt-4o", "app")
    for seconds in (0.05, 0.06, 9999.0):
        series.done(200, seconds, 0.001, seconds)
    samples = scrape(metrics)
    for name in ("request_duration", "time_to_first_token"):
        buckets = [
            value for (sample, _), value in samples.items() if sample == f"coo_llm_{name}_seconds_bucket"
        ]
        assert buckets == sorted(buckets)
        assert buckets[0] == 1, "a bound belongs to its bucket"
        assert buckets[1] == buckets[-2] == 2
        assert samples[f"coo_llm_{name}_seconds_count", ("openai", "gpt-4o")] == buckets[-1] == 3
        assert samples[f"coo_llm_{name}_seconds_sum", ("openai", "gpt-4o")] == pytest.approx(9999.11)
    assert samples["coo_llm_overhead_seconds_count", ("openai", "gpt-4o")] == 3


def test_clients_of_one_model_share_its_histograms(metrics: Metrics) -> None:
    metrics.request("p", "m", "a").done(200, 1, 0.001, None)
    metrics.request("p", "m", "b").done(200, 1, 0.001, None)
    assert scrape(metrics)["coo_llm_request_duration_seconds_count", ("p", "m")] == 2
    assert metrics.request("p", "m", "a") is metrics.request("p", "m", "a")


def test_every_event_is_counted_under_its_name(metrics: Metrics) -> None:
    metrics.attempt("p", "k-1", "ok")
    metrics.attempt("p", "k-1", "ok")
    metrics.error("p", "upstream_error")
    metrics.rate_limited("client", "app", "requests")
    metrics.near_limit("p", "k-1", "tokens")
    metrics.unknown_price("p", "m")
    metrics.cache_event("hit")
    metrics.config_reload("ok")
    metrics.sink_dropped("file", 7)
    metrics.store_error("runtime", "reserve")
    metrics.admin_request("/admin/v1/config", 200)
    samples = scrape(metrics)
    assert samples["coo_llm_upstream_attempts_total", ("p", "k-1", "ok")] == 2
    assert samples["coo_llm_sink_dropped_total", ("file",)] == 7
    for name, labels in {
        "errors": ("p", "upstream_error"),
        "rate_limited": ("client", "app", "requests"),
        "key_near_limit": ("p", "k-1", "tokens"),
        "unknown_price": ("p", "m"),
        "cache_events": ("hit",),
        "config_reloads": ("ok",),
        "store_errors": ("runtime", "reserve"),
        "admin_requests": ("/admin/v1/config", "200"),
    }.items():
        assert samples[f"coo_llm_{name}_total", labels] == 1, name
    assert samples["coo_llm_build_info", ("1.2.3",)] == 1
    assert samples["process_resident_memory_bytes", ()] > 0


def test_what_can_be_known_is_told_from_the_start(metrics: Metrics) -> None:
    samples = scrape(metrics)
    known = {labels[0]: value for (name, labels), value in samples.items() if name.endswith("reloads_total")}
    assert known == {"ok": 0, "unchanged": 0, "invalid": 0}
    assert samples["coo_llm_journal_events_total", ("dropped",)] == 0
    metrics.sink_dropped("file", 0)
    assert scrape(metrics)["coo_llm_sink_dropped_total", ("file",)] == 0
    assert metrics.lost() == {}


def test_label_names_are_those_published(metrics: Metrics) -> None:
    metrics.request("p", "m", "c").done(200, 1, 0.001, None)
    metrics.rate_limited("client", "app", "requests")
    text = metrics.render().decode()
    assert 'coo_llm_requests_total{client="c",model="m",provider="p",status="200"} 1.0' in text
    assert 'coo_llm_rate_limited_total{id="app",kind="requests",scope="client"} 1.0' in text


def test_gauges_are_read_at_the_scrape(metrics: Metrics) -> None:
    in_flight = 1

    def gauges() -> Iterator[Sample]:
        yield Sample("in_flight_requests", ("p",), in_flight)
        yield Sample("key_state", ("p", "k-1", "ok"), 1)
        yield Sample("key_window_ratio", ("p", "k-1", "requests"), 0.25)

    metrics.gauges = list(gauges())
    assert scrape(metrics)["coo_llm_in_flight_requests", ("p",)] == 1
    in_flight = 5
    metrics.gauges = list(gauges())
    samples = scrape(metrics)
    assert samples["coo_llm_in_flight_requests", ("p",)] == 5
    assert samples["coo_llm_key_state", ("p", "k-1", "ok")] == 1
    assert samples["coo_llm_key_window_ratio", ("p", "k-1", "requests")] == 0.25


def test_hostile_label_values_stay_inside_their_quotes(metrics: Metrics) -> None:
    name = 'a"} 1\ncoo_llm_requests_total{client="x\\'
    metrics.request("p", name, "c").done(200, 1, 0.001, None)
    assert scrape(metrics)["coo_llm_requests_total", ("p", name, "c", "200")] == 1


def test_series_are_bounded(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SERIES", 10)
    for number in range(1000):
        metrics.request("p", f"m{number}", "c").done(200, 1, 0.001, None)
        metrics.error("p", f"e{number}")
    samples = scrape(metrics)
    requests = [value for (name, _), value in samples.items() if name == "coo_llm_requests_total"]
    assert len(requests) == 11
    assert sum(requests) == 1000
    assert samples["coo_llm_requests_total", ("other", "other", "other", "200")] == 990
    assert samples["coo_llm_errors_total", ("other", "other")] == 990
    assert samples["coo_llm_request_duration_seconds_count", ("other", "other")] == 990


def test_rendering_in_a_thread_while_series_come_and_go(metrics: Metrics) -> None:
    stop = threading.Event()
    rendered: list[bytes] = []

    def render() -> None:
        while not stop.is_set():
            rendered.append(metrics.render())

    thread = threading.Thread(target=render)
    thread.start()
    number = 0
    while len(rendered) < 3 and thread.is_alive():
        metrics.request("p", f"m{number % 50}", "c").done(number % 400, 1, 0.001, None)
        metrics.error("p", f"e{number % 2000}")
        number += 1
    stop.set()
    thread.join()
    assert len(rendered) >= 3
    list(text_string_to_metric_families(rendered[-1].decode()))


def test_several_processes_count_as_one() -> None:
    one, two = Metrics("1"), Metrics("1")
    for metrics, seconds in ((one, 0.06), (two, 9.0), (two, 0.06)):
        series = metrics.request("openai", "gpt-4o", "app")
        series.done(200, seconds, 0.001, seconds)
        series.tokens(Usage(input=10, output=1))
        series.cost(5)
        metrics.attempt("openai", "k", "ok")
    two.error("openai", "upstream_error")
    whole = Metrics("1", process=False)
    for metrics in (one, two):
        metrics.gauges = [Sample("in_flight_requests", ("openai",), 1.0)]
        whole.add(orjson.loads(orjson.dumps(metrics.snapshot())))
    whole.gauges = whole.gauges[:1]
    both = {name: value for name, value in scrape(whole).items() if not name[0].startswith("process_")}
    alone = Metrics("1")
    for seconds in (0.06, 9.0, 0.06):
        series = alone.request("openai", "gpt-4o", "app")
        series.done(200, seconds, 0.001, seconds)
        series.tokens(Usage(input=10, output=1))
        series.cost(5)
        alone.attempt("openai", "k", "ok")
    alone.error("openai", "upstream_error")
    alone.gauges = whole.gauges
    expected = {name: value for name, value in scrape(alone).items() if not name[0].startswith("process_")}
    assert both == pytest.approx(expected)


def test_processes_are_added_up_but_began_with_the_first() -> None:
    whole = Metrics("1", process=False)
    for began, memory in ((200.0, 5.0), (100.0, 7.0)):
        process = {"process_start_time_seconds": began, "process_resident_memory_bytes": memory}
        whole.add({**Metrics("1", process=False).snapshot(), "process": process})
    samples = scrape(whole)
    assert samples["process_start_time_seconds", ()] == 100.0
    assert samples["process_resident_memory_bytes", ()] == 12.0
    assert ("process_open_fds", ()) not in samples
