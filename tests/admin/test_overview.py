"""Health, plugins and the audit page."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from gateway.admin import dependencies
from gateway.api import StoreUnavailable, Trouble
from tests.admin.calling import administered, audited, call
from tests.daemon.running import Gateway, configured, running


async def health(gateway: Gateway) -> tuple[str, dict[str, Any], Any]:
    """The status of the whole, the dependencies by name, and all that was answered."""
    status, body = await call(gateway, "GET /health")
    assert status == 200
    return body["status"], {one["name"]: one for one in body["dependencies"]}, body


async def test_all_is_well(tmp_path: Path) -> None:
    async with running(administered(logging=audited(tmp_path)), tmp_path) as gateway:
        status, found, body = await health(gateway)
        assert status == "ok"
        assert set(found) == {"storage.runtime", "storage.config", "storage.journal", "logging.audit"}
        assert {one["status"] for one in found.values()} == {"ok"}
        assert body["provider_keys"] == {"up": {"active": 2}}
        version = gateway.live.current.version
        assert body["config"] == {"version": version, "reload_errors": [], "restart_required": []}
        assert (body["workers"], body["anonymous_access"]) == (1, "nobody")


async def test_what_is_wrong_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(administered(logging=audited(tmp_path)), tmp_path) as gateway:
        live = gateway.live

        async def lost() -> str:
            raise StoreUnavailable("redis at db:6379 refuses connections: start it")

        monkeypatch.setattr(live.store, "trouble", lambda: Trouble("limits are local", 1.8e9))
        monkeypatch.setattr(live.managed.store, "version", lost)
        (tmp_path / "audit.log").unlink(missing_ok=True)
        (tmp_path / "audit.log").mkdir()
        live.metrics.sink_dropped("ops", 7)
        await call(gateway, "GET /plugins")  # cannot be audited
        status, found, _ = await health(gateway)
        assert status == "degraded"
        assert found["storage.runtime"]["message"] == "limits are local"
        assert found["storage.runtime"]["since"] == 1.8e9
        assert "db:6379" in found["storage.config"]["message"]
        assert "Is a directory" in found["logging.audit"]["message"]
        assert found["sink ops"]["message"].startswith("7 lines were lost, the last one ")


async def test_records_that_cannot_be_taken_from_the_journal_are_told(tmp_path: Path) -> None:
    async with running(administered(), tmp_path) as gateway:
        path = tmp_path / "journal" / "1-aa.lock"
        gateway.live.journal.untaken = {path: "Permission denied"}
        status, found, _ = await health(gateway)
        assert (status, found["storage.journal"]["status"]) == ("degraded", "degraded")
        assert found["storage.journal"]["message"].startswith(f"{path}: Permission denied: usage records")


async def test_lines_that_were_lost_long_ago_are_no_trouble_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(administered(), tmp_path) as gateway:
        gateway.live.metrics.sink_dropped("ops", 7)
        assert (await health(gateway))[0] == "degraded"
        monkeypatch.setattr(dependencies, "RECENT", 0.0)
        status, found, _ = await health(gateway)
        assert status == "ok"
        assert "sink ops" not in found
        assert (await gateway.samples()).sum("sink_dropped_total", sink="ops") == 7


async def test_a_reload_that_failed_is_told(tmp_path: Path) -> None:
    async with running(administered(), tmp_path) as gateway:
        gateway.write(administered(policy={"algorithm": "nonsense"}))
        assert (await gateway.post_reload())[0] == 422
        status, _, body = await health(gateway)
        assert status == "degraded"
        assert body["config"]["reload_errors"][0]["path"] == "policy.algorithm"


@pytest.mark.parametrize(("open_", "whom"), [(False, "this machine"), (True, "everyone")])
async def test_who_is_served_without_a_key(tmp_path: Path, open_: bool, whom: str) -> None:
    config = administered(server={"allow_anonymous": open_})
    del config["api_keys"]
    async with running(config, tmp_path) as gateway:
        assert (await health(gateway))[2]["anonymous_access"] == whom


async def test_plugins(tmp_path: Path) -> None:
    async with running(administered(), tmp_path) as gateway:
        status, body = await call(gateway, "GET /plugins")
        assert status == 200
        found = {(one["group"], one["name"]): one["error"] for one in body["plugins"]}
        assert found["providers", "echo"] is None
        assert found["algorithms", "hybrid"] is None


async def test_without_an_audit_log_there_are_no_entries(tmp_path: Path) -> None:
    async with running(administered(), tmp_path) as gateway:
        assert await call(gateway, "GET /audit") == (200, {"enabled": False, "entries": [], "next": None})
        nothing = {"enabled": False, "lines": 0, "last": None, "fault": None}
        assert await call(gateway, "GET /audit/verify") == (200, nothing)


async def test_the_chain_of_the_audit_log_is_followed(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    async with running(administered(logging=audited(tmp_path)), tmp_path) as gateway:
        for _ in range(3):
            await call(gateway, "GET /plugins")
        status, body = await call(gateway, "GET /audit/verify")
        assert (status, body["lines"], body["fault"]) == (200, 3, None)
        assert body["last"] == hashlib.sha256(log.read_bytes().splitlines()[-2]).hexdigest()
        first, rest = log.read_bytes().split(b"\n", 1)
        log.write_bytes(first.replace(b"200", b"201") + b"\n" + rest)
        _, body = await call(gateway, "GET /audit/verify")
        assert (body["enabled"], body["lines"]) == (True, 1)
        assert "does not follow" in body["fault"]


async def test_an_audit_log_that_cannot_be_written_keeps_the_gateway_from_starting(tmp_path: Path) -> None:
    (tmp_path / "audit.log").mkdir()
    with pytest.raises(OSError, match=r"audit\.log"):
        async with running(administered(logging=audited(tmp_path)), tmp_path):
            pass


async def test_without_an_admin_api_nothing_is_audited(tmp_path: Path) -> None:
    config = configured({"id": "up", "type": "echo", "model": "m"}, logging=audited(tmp_path))
    async with running(config, tmp_path) as gateway:
        assert (await call(gateway, "GET /health"))[0] == 404
    assert not (tmp_path / "audit.log").exists()
