"""What a service manager hears of the real daemon: its states, and the watchdog's pings while it is well."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.daemon.manager import managing
from tests.daemon.running import configured
from tests.daemon.working import WORKERS, eventually, lines_of, working
from tests.fakes.daemon import Daemon

ECHO = {"id": "up", "type": "echo", "model": "m"}


async def test_ready_reloading_stopping(tmp_path: Path) -> None:
    async with managing(tmp_path) as manager:
        async with Daemon(configured(ECHO), tmp_path, env=manager.environ) as daemon:
            assert manager.states == ["READY"]
            before = time.monotonic_ns() // 1000
            daemon.signal(signal.SIGHUP)
            await manager.hears("READY=1", 2)
            since = int(manager.said[manager.said.index("RELOADING=1") + 1].removeprefix("MONOTONIC_USEC="))
            assert before <= since <= time.monotonic_ns() // 1000  # Type=notify-reload wants to know
            daemon.config_path.write_text("not: [valid")
            daemon.signal(signal.SIGHUP)
            await manager.hears("READY=1", 3)
            await daemon.stop()
        await manager.hears("STOPPING=1")
    assert manager.states == ["READY", "RELOADING", "READY", "RELOADING", "READY", "STOPPING"]


async def test_a_drain_is_announced_with_the_time_it_may_take(tmp_path: Path) -> None:
    """So that ``TimeoutStopSec`` need not be changed with ``drain_timeout``."""
    config = configured(ECHO, server={"drain_timeout": "300s"})
    async with managing(tmp_path) as manager:
        async with Daemon(config, tmp_path, env=manager.environ) as daemon:
            await daemon.stop()
        async with working(tmp_path, config, env=manager.environ) as running:
            await running.daemon.stop()
        await eventually(lambda: len(manager.seconds_asked_for) == 2)
        assert min(manager.seconds_asked_for) > 300


async def test_not_ready_before_it_serves(tmp_path: Path) -> None:
    """A daemon that cannot start has never been ready."""
    async with managing(tmp_path) as manager:
        config = configured(ECHO, logging={"file": {"path": "/proc/no/such.log"}})
        with pytest.raises(RuntimeError, match="exit 1 at start"):
            async with Daemon(config, tmp_path, env=manager.environ):
                pass
    assert manager.states == []


async def test_the_watchdog_is_pinged_as_long_as_the_loop_runs(tmp_path: Path) -> None:
    async with (
        managing(tmp_path) as manager,
        Daemon(configured(ECHO), tmp_path, env=manager.environ) as daemon,
    ):
        await manager.hears("WATCHDOG=1", 3)
        daemon.signal(signal.SIGSTOP)
        await manager.hears_nothing("WATCHDOG=1")
        daemon.signal(signal.SIGCONT)
        await manager.hears_again("WATCHDOG=1")


async def test_no_pings_for_another_process(tmp_path: Path) -> None:
    async with managing(tmp_path) as manager:
        environ = {**manager.environ, "WATCHDOG_PID": "1"}
        async with Daemon(configured(ECHO), tmp_path, env=environ):
            await manager.hears("READY=1")
            await manager.hears_nothing("WATCHDOG=1")


async def test_workers_are_one_service(tmp_path: Path) -> None:
    async with managing(tmp_path) as manager, working(tmp_path, env=manager.environ) as running:
        await manager.hears("WATCHDOG=1", 3)
        running.daemon.signal(signal.SIGHUP)
        await manager.hears("READY=1", 2)
        await running.daemon.stop()
        await manager.hears("STOPPING=1")
    assert manager.states == ["READY", "RELOADING", "READY", "STOPPING"]  # none of a worker's own


async def test_no_pings_while_a_worker_is_stalled(tmp_path: Path) -> None:
    async with (
        managing(tmp_path) as manager,
        working(tmp_path, env=manager.environ) as running,
    ):
        await manager.hears("WATCHDOG=1")
        stalled = running.pids[0]
        os.kill(stalled, signal.SIGSTOP)
        await eventually(lambda: bool(lines_of(running.daemon, "worker does not answer")))
        await manager.hears_nothing("WATCHDOG=1")
        os.kill(stalled, signal.SIGCONT)
        await manager.hears_again("WATCHDOG=1")
        assert len(running.pids) == WORKERS


async def test_pings_while_a_worker_that_ended_is_replaced(tmp_path: Path) -> None:
    async with (
        managing(tmp_path) as manager,
        working(tmp_path, env=manager.environ) as running,
    ):
        os.kill(running.pids[0], signal.SIGKILL)
        await eventually(lambda: bool(lines_of(running.daemon, "worker ended")))
        await manager.hears_again("WATCHDOG=1")
        assert manager.states == ["READY"]
