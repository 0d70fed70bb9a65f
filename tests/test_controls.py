"""What a reload leaves behind, whatever becomes of it."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import pytest

from gateway.controls import Controls
from gateway.reload import Reloaded
from tests.daemon.running import until


async def test_a_bug_in_a_reload_is_logged_and_the_next_one_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        asked: list[str] = []
        told: list[bytes] = []

        async def reload(why: str) -> Reloaded:
            asked.append(why)
            if len(asked) == 1:
                raise RuntimeError("secret")
            return Reloaded()

        def heard(states: int) -> bool:
            try:
                told.append(manager.recv(1000).partition(b"\n")[0])
            except BlockingIOError:
                pass
            return len(told) == states

        controls = Controls(reload)
        controls.reload("file")
        await until(lambda: heard(2))
        controls.reload("SIGHUP")
        await until(lambda: heard(4))
    assert asked == ["file", "SIGHUP"]
    assert told == [b"RELOADING=1", b"READY=1"] * 2
    [line] = caplog.records
    assert (line.levelno, line.message) == (logging.ERROR, "bug while the configuration was reloaded")
