"""Health endpoints: open to all, and silent about everything but the gateway's own state."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import __version__
from gateway.api import Trouble
from tests.daemon.running import configured, running

ECHO = {"id": "up", "type": "echo", "model": "m"}


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_health(tmp_path: Path, prefix: str) -> None:
    async with running(configured(ECHO), tmp_path) as gateway:
        for path in ("/health", "/livez", "/readyz"):
            async with gateway.session.get(gateway.url + prefix + path) as response:
                body = await response.json()
                assert (response.status, response.content_type) == (200, "application/json")
                assert set(body) == {"status", "version", "uptime_seconds"}
                assert (body["status"], body["version"]) == ("ok", __version__)
                assert body["uptime_seconds"] >= 0


@pytest.mark.parametrize(
    ("ready", "draining", "word"), [(False, False, "starting"), (True, True, "draining")]
)
async def test_not_ready(tmp_path: Path, ready: bool, draining: bool, word: str) -> None:
    async with running(configured(ECHO), tmp_path) as gateway:
        gateway.live.ready, gateway.live.draining = ready, draining
        async with gateway.session.get(f"{gateway.url}/readyz") as response:
            assert (response.status, (await response.json())["status"]) == (503, word)
        async with gateway.session.get(f"{gateway.url}/livez") as response:
            assert response.status == 200


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 405), ("DELETE", 405)])
async def test_methods(tmp_path: Path, method: str, status: int) -> None:
    async with (
        running(configured(ECHO), tmp_path) as gateway,
        gateway.session.request(method, f"{gateway.url}/readyz") as response,
    ):
        assert response.status == status


@pytest.mark.parametrize(
    ("on_trouble", "limits", "status"),
    [("closed", True, 503), ("closed", False, 200), ("local", True, 200), ("open", True, 200)],
)
async def test_a_store_in_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_trouble: str, limits: bool, status: int
) -> None:
    """Where it is closed, requests are not welcome as long as limits cannot be checked."""
    memory = {"type": "memory"}
    storage = {"config": memory, "runtime": memory, "on_trouble": on_trouble}
    async with running(configured({"type": "echo"}, storage=storage), tmp_path) as gateway:
        with monkeypatch.context() as down:
            down.setattr(gateway.live.store, "trouble", lambda: Trouble("down", 0.0, limits))
            assert (await gateway.get("/health"))[0] == 200
            found, body = await gateway.get("/readyz")
            assert (found, body["store"]) == (status, "degraded")
            assert body["status"] == ("ok" if status == 200 else "closed")
            assert (await gateway.samples()).sum("store_degraded", store="memory") == 1
        assert (await gateway.get("/readyz"))[0] == 200
        assert (await gateway.samples()).sum("store_degraded") == 0
