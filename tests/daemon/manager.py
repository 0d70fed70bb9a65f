"""The service manager's side of sd_notify(3)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.daemon.working import eventually

WATCHDOG_SECONDS = 0.2


class Manager(asyncio.DatagramProtocol):
    """Listens for what a service notifies; at all times, for only a few words wait for it."""

    def __init__(self, address: Path) -> None:
        self.environ = {
            "NOTIFY_SOCKET": str(address),
            "WATCHDOG_USEC": str(int(WATCHDOG_SECONDS * 1e6)),
        }
        """What it tells the service."""
        self.said: list[str] = []

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.said += data.decode().split("\n")

    async def hears(self, word: str, count: int = 1) -> None:
        """Wait until ``word`` was said so often."""
        await eventually(lambda: self.said.count(word) >= count)

    async def hears_again(self, word: str) -> None:
        """Wait until ``word`` is said once more."""
        await self.hears(word, self.said.count(word) + 1)

    async def hears_nothing(self, word: str) -> None:
        """Assert that ``word`` is not said, in several times the seconds in which a watchdog expects it."""
        await asyncio.sleep(WATCHDOG_SECONDS)  # what was on its way arrives
        before = self.said.count(word)
        await asyncio.sleep(3 * WATCHDOG_SECONDS)
        assert self.said.count(word) == before

    @property
    def seconds_asked_for(self) -> list[float]:
        """How much more time the service wanted, each time."""
        extensions = [word for word in self.said if word.startswith("EXTEND_TIMEOUT_USEC=")]
        return [int(word.partition("=")[2]) / 1e6 for word in extensions]

    @property
    def states(self) -> list[str]:
        """What was said of the service's state, in order: ``READY``, ``RELOADING``, ``STOPPING``."""
        return [word.partition("=")[0] for word in self.said if word.partition("=")[0] in _STATES]


_STATES = ("READY", "RELOADING", "STOPPING")


@asynccontextmanager
async def managing(folder: Path) -> AsyncIterator[Manager]:
    """A manager that listens until the block ends."""
    address = folder / "notify"
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(str(address))
    loop = asyncio.get_running_loop()
    transport, manager = await loop.create_datagram_endpoint(lambda: Manager(address), sock=listening)
    try:
        yield manager
    finally:
        transport.close()
