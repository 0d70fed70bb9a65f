"""A configuration that comes through a pipe, as a shell's ``<(…)``: decrypted for this one run, say."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.daemon.running import ADMIN
from tests.daemon.working import eventually, lines_of, settings, working

PIPED = ("bash", "-c", 'exec "${@:1:$#-1}" <(cat "${@: -1}")', "bash")
SECOND = {"model_aliases": {"two": "echo:m"}}


@pytest.mark.parametrize("workers", [1, 2])
async def test_it_is_read_once_and_stays_in_effect(tmp_path: Path, workers: int) -> None:
    storage = {"config": {"type": "file"}, "runtime": {"type": "hosted"}}
    config = settings(server={"workers": workers}, storage=storage)
    async with working(tmp_path, config, wrapper=PIPED) as running:
        daemon = running.daemon
        await asyncio.sleep(1.5)  # the watcher of a file looks every second
        daemon.reload()
        await eventually(lambda: bool(lines_of(daemon, "configuration unchanged")))
        changed = running.session.post(f"{daemon.url}/admin/v1/config", json=SECOND, headers=ADMIN)
        async with changed as response:
            assert (response.status, (await response.json()).get("errors")) == (200, None)
        await eventually(lambda: bool(lines_of(daemon, "configuration reloaded")))
        assert lines_of(daemon, "configuration not reloaded") == []
        assert await running.asked(model="two") == 200
