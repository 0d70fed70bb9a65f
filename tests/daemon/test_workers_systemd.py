"""What systemd sees of several workers: one service that is ready when all serve, on the sockets it opened."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

from tests.daemon.working import working


class Manager:
    """Listens for what a service notifies."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self.said: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.setblocking(False)

    async def hears(self, word: str, count: int = 1) -> None:
        """Wait until ``word`` was said so often."""
        async with asyncio.timeout(15):
            while self.said.count(word) < count:
                data = await asyncio.get_running_loop().sock_recv(self._socket, 4096)
                self.said += data.decode().split("\n")

    def close(self) -> None:
        self._socket.close()


async def test_ready_once_watchdog_and_stopping(tmp_path: Path) -> None:
    manager = Manager(tmp_path)
    env = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "500000"}
    async with working(tmp_path, env=env) as running:
        await manager.hears("READY=1")
        await manager.hears("WATCHDOG=1", 3)
        running.daemon.signal(signal.SIGHUP)
        await manager.hears("READY=1", 2)
        await running.daemon.stop()
        await manager.hears("STOPPING=1")
    manager.close()
    assert manager.said.count("STOPPING=1") == 1  # none of a worker's own


async def test_socket_activation(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        async with working(tmp_path, activated=opened) as running:
            opened.close()
            assert {await running.asked() for _ in range(6)} == {200}
            for pid in running.pids:
                os.kill(pid, signal.SIGKILL)
            assert await running.asked() == 200  # it waited for the next worker: nobody was refused
