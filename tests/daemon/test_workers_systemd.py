"""What systemd sees of several workers: one service, ready when all serve, on the sockets it opened."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

from tests.daemon.working import eventually, working


class Manager(asyncio.DatagramProtocol):
    """Listens for what a service notifies; at all times, for only a few words wait for it."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.said += data.decode().split("\n")

    async def hears(self, word: str, count: int = 1) -> None:
        """Wait until ``word`` was said so often."""
        await eventually(lambda: self.said.count(word) >= count)


async def test_ready_once_watchdog_and_stopping(tmp_path: Path) -> None:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(str(tmp_path / "notify"))
    transport, manager = await asyncio.get_running_loop().create_datagram_endpoint(Manager, sock=listening)
    env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "500000"}
    async with working(tmp_path, env=env) as running:
        await manager.hears("READY=1")
        await manager.hears("WATCHDOG=1", 3)
        running.daemon.signal(signal.SIGHUP)
        await manager.hears("READY=1", 2)
        await running.daemon.stop()
        await manager.hears("STOPPING=1")
    transport.close()
    assert manager.said.count("STOPPING=1") == 1  # none of a worker's own


async def test_socket_activation(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        async with working(tmp_path, activated=opened) as running:
            opened.close()
            assert {await running.asked() for _ in range(6)} == {200}
            for pid in running.pids:
                os.kill(pid, signal.SIGKILL)
            assert await running.asked() == 200  # it waited for the next worker: nobody was refused
