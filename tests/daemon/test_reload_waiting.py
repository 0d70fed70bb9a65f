"""What ``systemctl reload`` runs: it waits for the gateway, and fails where that refuses what it reads."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.daemon.running import ADMIN, ADMIN_KEY, configured
from tests.daemon.working import WORKERS
from tests.fakes.daemon import ROOT, Daemon

FIRST = {"id": "first", "type": "echo", "model": "m"}
OTHER = {"id": "other", "type": "echo", "model": "m"}


def settings(*providers: Mapping[str, Any], workers: int = 1, **sections: Any) -> dict[str, Any]:
    server = {"admin_api_key": ADMIN_KEY, "workers": workers}
    storage = {"config": {"path": "config.json"}, "runtime": {"path": "coo-llm.db"}, "journal": "journal"}
    return configured(*providers, server=server, storage=storage, **sections)


async def reload(pid: int, folder: Path) -> tuple[int | None, str]:
    """The exit code, and what is said."""
    done = await asyncio.create_subprocess_exec(
        ROOT / "systemd" / "reload",
        str(pid),
        env={"PATH": "/usr/bin:/bin", "RUNTIME_DIRECTORY": str(folder)},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await done.communicate()
    return done.returncode, said.decode()


@pytest.mark.parametrize("workers", [1, WORKERS])
async def test_a_configuration_that_the_gateway_refuses_fails(tmp_path: Path, workers: int) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir()
    config = settings(FIRST, OTHER, workers=workers)
    async with (
        Daemon(config, tmp_path, env={"RUNTIME_DIRECTORY": str(runtime)}) as daemon,
        aiohttp.ClientSession(headers=ADMIN) as session,
    ):
        assert await reload(daemon.pid, runtime) == (0, "")
        daemon.write(settings(FIRST, OTHER, workers=workers, policy={"priority": "cost"}))
        assert await reload(daemon.pid, runtime) == (0, "")
        daemon.write(settings(FIRST, OTHER, workers=workers, policy={"priority": "nonsense"}))
        code, said = await reload(daemon.pid, runtime)
        assert (code, said[:3]) == (1, "<3>")

        daemon.write(config)
        assert await reload(daemon.pid, runtime) == (0, "")
        url, policy = f"{daemon.url}/admin/v1/config/policy", {"fallback": {"providers": ["other"]}}
        async with session.put(url, json=policy) as response:
            assert response.status == 200
        daemon.write(settings(FIRST, workers=workers))  # valid, but not with what is set
        assert (await reload(daemon.pid, runtime))[0] == 1
        assert "fallback" in daemon.stderr


async def test_a_gateway_that_is_gone_fails(tmp_path: Path) -> None:
    gone = await asyncio.create_subprocess_exec("true")
    await gone.wait()
    assert (await reload(gone.pid, tmp_path))[0] == 1
