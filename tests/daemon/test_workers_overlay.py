"""What is set over the admin API for the start: named at once, in force in all workers after a restart."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from gateway.config.managed import Managed, serialise
from gateway_stores.file_config import FileConfigStore
from tests.daemon.running import ADMIN
from tests.daemon.test_workers_file import FILES
from tests.daemon.working import WORKERS, Working, eventually, lines_of, settings, stopped, working
from tests.fakes.ports import free_port

WAITING = ["server.listen", "server.workers", "logging.prometheus.endpoint"]


async def scraped(running: Working) -> set[tuple[int, int]]:
    """The statuses of the old and of the new address of the metrics, asked of each worker."""
    found = set()
    for pid in running.pids:
        async with (
            running.alone(pid),
            running.session.get(f"{running.daemon.url}/metrics") as old,
            running.session.get(f"{running.daemon.url}/numbers") as new,
        ):
            found.add((old.status, new.status))
    return found


async def errors(running: Working) -> list[str]:
    """Where what is set does not fit, as some worker tells."""
    url = f"{running.daemon.url}/admin/v1/config/overlay"
    async with running.session.get(url, headers=ADMIN) as response:
        return [one["path"] for one in (await response.json())["errors"]]


async def started(running: Working, workers: int) -> None:
    """Wait until so many workers have started in all; the first that has makes the service ready."""
    await eventually(lambda: len(lines_of(running.daemon, "worker started")) == workers)


async def test_it_waits_for_a_restart(tmp_path: Path) -> None:
    change = {
        "server": {"listen": f"127.0.0.1:{free_port()}", "workers": WORKERS + 1, "drain_timeout": "3s"},
        "logging": {"prometheus": {"endpoint": "/numbers"}},
    }
    async with working(tmp_path, settings(storage=FILES)) as running:
        daemon, url = running.daemon, f"{running.daemon.url}/admin/v1/config"
        async with running.session.post(url, json=change, headers=ADMIN) as response:
            assert (response.status, (await response.json())["restart_required"]) == (200, WAITING)
        assert (await running.reload())[1]["restart_required"] == WAITING
        await started(running, WORKERS)
        os.kill(running.pids[0], signal.SIGKILL)
        await started(running, WORKERS + 1)
        assert await scraped(running) == {(200, 404)}
        for pid in running.pids:
            async with running.alone(pid):
                assert (await running.health())["config"]["restart_required"] == WAITING
        async with running.session.delete(f"{url}/overlay/server/listen", headers=ADMIN) as response:
            assert (await response.json())["restart_required"] == WAITING[1:]
        await daemon.stop()
        await daemon.start()
        await started(running, WORKERS + 1 + WORKERS + 1)
        assert len(running.pids) == WORKERS + 1
        assert await scraped(running) == {(404, 200)}
        assert (await running.reload())[1]["restart_required"] == []


async def test_what_no_longer_fits_the_file_is_told_once(tmp_path: Path) -> None:
    config = settings(storage=FILES)
    other = {"id": "other", "type": "echo"}
    async with working(tmp_path, {**config, "llm_providers": [*config["llm_providers"], other]}) as running:
        change = {"policy": {"fallback": {"providers": ["other"]}}}
        url = f"{running.daemon.url}/admin/v1/config"
        async with running.session.post(url, json=change, headers=ADMIN) as response:
            assert response.status == 200
        running.daemon.write(config)
        status, body = await running.reload()
        assert (status, [one["path"] for one in body["details"]]) == (422, ["policy.fallback.providers.0"])


async def test_what_does_not_fit_at_the_start_is_told_by_all_workers(tmp_path: Path) -> None:
    config = settings(storage=FILES)
    other = {"id": "other", "type": "echo"}
    async with working(tmp_path, {**config, "llm_providers": [*config["llm_providers"], other]}) as running:
        change = {"policy": {"fallback": {"providers": ["other"]}}}
        url = f"{running.daemon.url}/admin/v1/config"
        async with running.session.post(url, json=change, headers=ADMIN) as response:
            assert response.status == 200
        await running.daemon.stop()
        running.daemon.write(config)
        await running.daemon.start()
        for pid in running.pids:
            async with running.alone(pid):
                assert await errors(running) == ["policy.fallback.providers.0"]
        assert (await running.health())["status"] == "degraded"
        assert (await running.samples()).sum("config_invalid") == 1


async def test_what_others_have_set_is_reported_once(tmp_path: Path) -> None:
    store = FileConfigStore(str(tmp_path / "data" / "config.json"))

    async def write(policy: dict[str, Any]) -> None:
        managed = Managed({"policy": policy}, clients_existed=True)
        await store.write(serialise(managed), await store.version())

    async with working(tmp_path, settings(storage=FILES)) as running:
        daemon = running.daemon
        await eventually(lambda: Path(store.path).exists())  # that there are clients
        await write({"fallback": {"providers": ["nobody"]}})
        await eventually(lambda: bool(lines_of(daemon, "configuration not reloaded")))
        for pid in running.pids:
            async with running.alone(pid):
                assert await errors(running) == ["policy.fallback.providers.0"]
        assert (await running.samples()).sum("config_invalid") == 1
        await write({"retry": {"max_attempts": 7}})
        await eventually(lambda: bool(lines_of(daemon, "configuration reloaded")))
        for pid in running.pids:
            async with running.alone(pid):
                assert await errors(running) == []
        samples = await running.samples()
        assert samples.sum("config_invalid") == 0
        found = [samples.sum("config_reloads_total", result=result) for result in ("invalid", "ok")]
        reports = ("configuration not reloaded", "configuration reloaded")
        lines = [line["trigger"] for report in reports for line in lines_of(daemon, report)]
        assert (found, lines) == ([1, 1], ["storage.config"] * 2)


async def test_what_others_set_while_the_worker_that_tells_is_replaced_is_reported(tmp_path: Path) -> None:
    store = FileConfigStore(str(tmp_path / "data" / "config.json"))
    async with working(tmp_path, settings(storage=FILES)) as running:
        await eventually(lambda: Path(store.path).exists())  # that there are clients
        [first] = [line["pid"] for line in lines_of(running.daemon, "worker started") if line["worker"] == 0]
        async with stopped(first):
            managed = Managed({"policy": {"fallback": {"providers": ["nobody"]}}}, clients_existed=True)
            await store.write(serialise(managed), await store.version())
            os.kill(first, signal.SIGKILL)
        await eventually(lambda: bool(lines_of(running.daemon, "configuration not reloaded")))
        await eventually(lambda: len(running.pids) == WORKERS)
        for pid in running.pids:
            async with running.alone(pid):
                assert await errors(running) == ["policy.fallback.providers.0"]
        samples = await running.samples()
        assert samples.sum("config_invalid") == samples.sum("config_reloads_total", result="invalid") == 1
        assert len(lines_of(running.daemon, "configuration not reloaded")) == 1
