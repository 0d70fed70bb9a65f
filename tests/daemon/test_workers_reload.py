"""One reload over all workers, whoever asks for it; and what one worker learns, all know."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from tests.daemon.running import ADMIN
from tests.daemon.test_workers_file import FILES
from tests.daemon.working import WORKERS, Working, eventually, lines_of, settings, stopped, working
from tests.fakes.openai import FakeOpenAI


def aliased(name: str, **server: Any) -> dict[str, Any]:
    return settings(model_aliases={name: "echo:m"}, server=server)


async def statuses(running: Working, model: str) -> set[int]:
    """Of as many chats as reach all workers, most likely."""
    return set(await asyncio.gather(*[running.asked(model=model) for _ in range(16)]))


async def known(running: Working, key: str) -> None:
    """Wait until a client's key is."""
    async with asyncio.timeout(60):
        headers = {"authorization": f"Bearer {key}"}
        status = 401
        while status == 401:
            async with running.session.get(f"{running.daemon.url}/v1/models", headers=headers) as response:
                status = response.status
    assert status == 200


async def test_one_reload_for_all_workers(tmp_path: Path) -> None:
    async with working(tmp_path, aliased("one")) as running:
        assert await statuses(running, "one") == {200}
        running.daemon.write(aliased("two"))
        status, body = await running.reload()
        assert status == 200
        await eventually(lambda: len(lines_of(running.daemon, "configuration reloaded")) == 1)
        assert await statuses(running, "two") == {200}
        assert await running.versions() == {body["config_version"]}
        running.daemon.write(aliased("three", drain_timeout="4s", max_upload_mb=3, workers=3))
        running.daemon.signal(signal.SIGHUP)
        await eventually(lambda: len(lines_of(running.daemon, "configuration reloaded")) == 2)
        assert lines_of(running.daemon, "configuration reloaded")[1]["restart_required"] == ["server.workers"]
        assert await statuses(running, "three") == {200}
        assert len(running.pids) == WORKERS
        assert (await running.samples()).sum("config_reloads_total", result="ok") == 2


async def test_a_broken_file_changes_nothing_and_is_nothing_to_a_new_worker(tmp_path: Path) -> None:
    async with working(tmp_path, aliased("one")) as running:
        running.daemon.write(aliased("two"))
        await running.reload()
        versions = await running.versions()
        assert len(versions) == 1
        running.daemon.config_path.write_text("server: [")
        status, body = await running.reload()
        assert (status, bool(body["details"])) == (422, True)
        await eventually(lambda: bool(lines_of(running.daemon, "configuration not reloaded")))
        samples = await running.samples()
        assert samples.sum("config_reloads_total", result="invalid") >= 1
        assert samples.sum("config_invalid") == 1
        for pid in running.pids:
            os.kill(pid, signal.SIGKILL)
        await eventually(lambda: len(lines_of(running.daemon, "worker started")) == 2 * WORKERS)
        assert await statuses(running, "two") == {200}
        assert await running.versions() == versions


async def test_a_key_that_one_worker_sees_rejected_rests_in_all(
    tmp_path: Path, fake_openai: FakeOpenAI
) -> None:
    provider = {
        "id": "up",
        "type": "openai",
        "api_keys": ["rejected-key"],
        "base_url": fake_openai.url,
        "model": "gpt-4o",
    }
    config = settings(llm_providers=[provider])
    async with working(tmp_path, config) as running:
        assert await running.asked(model="gpt-4o") != 200
        await eventually(lambda: bool(lines_of(running.daemon, "fact heard")))
        before = (await running.samples()).sum("upstream_attempts_total")
        assert 200 not in await statuses(running, "gpt-4o")
        assert (await running.samples()).sum("upstream_attempts_total") == before


async def test_a_supervisor_that_stands_still_holds_up_no_call(tmp_path: Path) -> None:
    async with working(tmp_path, settings(storage=FILES)) as running:
        assert running.daemon.pid is not None
        client = {"id": "two", "key": "sk-two-canary-0123456789"}
        async with stopped(running.daemon.pid):
            status, body = await running.reload()
            assert (status, "does not answer" in body["error"]) == (503, True)
            url = f"{running.daemon.url}/admin/v1/clients"
            async with running.session.post(url, json=client, headers=ADMIN) as response:
                assert response.status == 201
            for pid in running.pids:
                async with running.alone(pid):
                    await known(running, client["key"])
        assert (await running.reload())[0] == 200
