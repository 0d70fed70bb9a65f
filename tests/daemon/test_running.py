"""Gateways that are served in the process of the tests."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

from tests.daemon.running import configured, running, until


async def test_one_that_has_stopped_leaves_nothing_behind(tmp_path: Path) -> None:
    """There are thousands in one process."""
    async with running(configured({"id": "up", "type": "echo", "model": "m"}), tmp_path) as gateway:
        assert (await gateway.ask())[0] == 200
        store = weakref.ref(gateway.live.store)
    del gateway

    def gone() -> bool:
        gc.collect()
        return store() is None

    await until(gone)  # threads may hold some of it for a moment
