"""The metrics after a known mix of requests: every family that is promised, its labels and its values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.daemon.running import KEY, configured, openai, running
from tests.fakes.openai import FakeOpenAI
from tests.fakes.upstream import Fault

DOCUMENTED = Path(__file__).parents[2] / "docs" / "metrics.rst"
WITHOUT_TRAFFIC = {
    "coo_llm_journal_durable",
    "coo_llm_store_errors_total",
    "coo_llm_store_degraded",
}
"""What this mix has no cause for."""


def documented() -> dict[str, set[str]]:
    """The families the documentation promises, with their labels."""
    found = re.findall(r"^``(coo_llm_\w+)(?:\{([\w,]+)\})?``$", DOCUMENTED.read_text(), re.MULTILINE)
    return {name: set(labels.split(",")) - {""} for name, labels in found}


async def test_a_known_mix(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    clients = [{"id": "one", "key": KEY}, {"id": "two", "key": "sk-two", "limits": {"req_per_min": 2}}]
    limits = {"req_per_min": 10, "tokens_per_min": 100_000, "session_limit": 10**6, "max_parallel": 9}
    priced = {"input_token_cost": 0.0025, "output_token_cost": 0.01}
    config = configured(
        openai(fake_openai.url, pricing=priced, api_keys=[{"id": "main", "key": "good-key"}], limits=limits),
        {"id": "echo", "type": "echo", "model": "m"},
        {"id": "full", "type": "echo", "model": "f", "limits": {"req_per_min": 1}},
        api_keys=clients,
        server={"admin_api_key": "an-admin-key-for-tests"},
        policy={"retry": {"interval": 0}},
    )
    async with running(config, tmp_path) as gateway:
        two = gateway.of("sk-two")
        for _ in range(3):
            await gateway.ask(model="gpt-4o")
        for _ in range(2):
            await gateway.stream(model="gpt-4o")
        fake_openai.script.extend([Fault(500), Fault(500), Fault(500)])
        await gateway.ask(model="gpt-4o")
        for _ in range(3):
            await two.ask(model="m")
        for _ in range(2):
            await gateway.ask(model="f")
        await gateway.ask(model="up:made-up")
        await gateway.ask(model="none")
        async with gateway.session.get(gateway.url + "/admin/v1/config") as response:
            assert response.status == 401
        await gateway.reload(policy={"algorithm": "round_robin"})
        samples = await gateway.samples()
        records = await gateway.records(13)

    labels: dict[str, set[str]] = {}
    for sample in samples.all:
        labels.setdefault(re.sub(r"_(bucket|sum|count)$", "", sample.name), set()).update(
            set(sample.labels) - {"le"}
        )
    promised = documented()
    assert {name: labels.get(name) for name in promised if name not in WITHOUT_TRAFFIC} == {
        name: names for name, names in promised.items() if name not in WITHOUT_TRAFFIC
    }
    up: dict[str, Any] = {"provider": "up", "model": "gpt-4o", "client": "one"}
    assert samples.sum("requests_total", status="200", **up) == 5
    assert samples.sum("requests_total", status="502", **up) == 1
    assert samples.sum("requests_total", provider="echo", client="two", status="200") == 2
    assert samples.sum("requests_total", provider="none", model="other", client="two", status="429") == 1
    assert samples.sum("requests_total", provider="none", model="other", client="one", status="404") == 1
    assert samples.sum("requests_total", provider="none", client="one", status="429") == 1
    assert samples.sum("requests_total") == len(records) == 13
    assert samples.sum("upstream_attempts_total", provider="up", key="main", outcome="ok") == 5
    assert samples.sum("upstream_attempts_total", provider="up", key="main", outcome="failed") == 3
    assert samples.sum("upstream_attempts_total", provider="up", key="main", outcome="model") == 1
    assert samples.sum("errors_total", provider="up", code="upstream_error") == 1
    assert samples.sum("errors_total", provider="none", code="model_not_found") == 1
    assert samples.sum("errors_total", code="rate_limit_exceeded") == 1
    assert samples.sum("rate_limited_total", scope="client", id="two", kind="requests") == 1
    assert samples.sum("rate_limited_total", scope="key", id="full/keyless", kind="requests") == 1
    assert samples.sum("time_to_first_token_seconds_count", provider="up", model="gpt-4o") == 2
    assert samples.sum("request_duration_seconds_count", provider="up", model="gpt-4o") == 6
    assert samples.sum("overhead_seconds_count", provider="up", model="other") == 1
    assert samples.sum("unknown_price_total", provider="echo", model="m") == 2
    assert samples.sum("config_reloads_total", result="ok") == 1
    assert samples.sum("admin_requests_total", status="401") == 1
    assert samples.sum("key_state", provider="up", key="main") == 1, "a key is in one state"
    assert samples.sum("key_state", provider="echo", state="active") == 1
    assert samples.sum("key_state", provider="full", state="limited") == 1
    assert samples.sum("key_window_ratio", provider="up", kind="requests") == 0.9
    assert samples.values("key_window_ratio", "kind") == {"requests", "tokens", "session", "parallel"}
    assert samples.sum("in_flight_requests") == 0
    assert samples.sum("build_info") == 1
