"""``/metrics``: who may scrape, where it is, and what a scrape says about requests and keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.request import authenticate
from tests.daemon.running import ADMIN, ADMIN_KEY, KEY, Gateway, configured, running

ECHO = {"id": "up", "type": "echo", "model": "m", "api_keys": [{"id": "k", "key": "x"}]}
QUIET = {"file": {"enabled": False}, "audit": {"enabled": False}}


async def scrape(
    gateway: Gateway, path: str = "/metrics", headers: Mapping[str, str] | None = None
) -> tuple[int, str]:
    async with gateway.session.get(gateway.url + path, headers=headers) as response:
        return response.status, await response.text()


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Values by name and label values, in the order of the labels' names."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("local", "public", "headers", "status"),
    [
        (True, False, {}, 200),
        (True, False, {"x-forwarded-for": "192.0.2.1"}, 403),
        (True, False, {"x-forwarded-for": "192.0.2.1", **ADMIN}, 200),
        (False, False, {}, 403),
        (False, False, ADMIN, 200),
        (False, False, {"authorization": f"Bearer {KEY}"}, 403),
        (False, True, {}, 200),
    ],
)
async def test_who_may_scrape(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    local: bool,
    public: bool,
    headers: dict[str, str],
    status: int,
) -> None:
    config = configured(
        ECHO, server={"admin_api_key": ADMIN_KEY}, logging={**QUIET, "prometheus": {"public": public}}
    )
    monkeypatch.setattr(authenticate, "_is_loopback_address", lambda text: local)
    async with running(config, tmp_path) as gateway:
        for path in ("/metrics", "/api/metrics"):
            answered, text = await scrape(gateway, path, headers)
            assert answered == status
            assert ("coo_llm_build_info" in text) is (status == 200)


@pytest.mark.parametrize(
    ("prometheus", "found"),
    [({"endpoint": "/observe/prom"}, "/observe/prom"), ({"enabled": False}, None)],
)
async def test_where_it_is(tmp_path: Path, prometheus: dict[str, Any], found: str | None) -> None:
    config = configured(ECHO, logging={**QUIET, "prometheus": prometheus})
    async with running(config, tmp_path) as gateway:
        assert (await scrape(gateway))[0] == 404
        if found is not None:
            assert (await scrape(gateway, found))[0] == 200


async def test_what_it_counts(tmp_path: Path) -> None:
    async with running(configured(ECHO), tmp_path) as gateway:
        await gateway.ask()
        await gateway.ask(model="made-up")
        status, text = await scrape(gateway)
        assert status == 200
        found = samples(text)
        assert found["coo_llm_requests_total", ("one", "m", "up", "200")] == 1
        assert found["coo_llm_requests_total", ("one", "other", "none", "404")] == 1
        assert found["coo_llm_upstream_attempts_total", ("k", "ok", "up")] == 1
        assert "made-up" not in text
        assert KEY not in text
