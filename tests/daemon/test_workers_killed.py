"""Workers are killed under load: their journals are taken over by those that live, each record once."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import aiohttp

from tests.daemon.running import HELLO
from tests.daemon.test_kill import is_empty
from tests.daemon.test_workers_file import FILES
from tests.daemon.working import WORKERS, Working, eventually, settings, working

ANSWERS = 100
"""Before each of the ends."""


class Load:
    """Clients that ask without end, and the requests that were answered in full."""

    def __init__(self, gateway: Working) -> None:
        self._gateway = gateway
        self._asked = 0
        self.answered: set[str] = set()

    async def run_until(self, answers: int) -> None:
        """Returns with the clients still asking."""
        await eventually(lambda: len(self.answered) >= answers)

    async def client(self) -> None:
        url = f"{self._gateway.daemon.url}/v1/chat/completions"
        body = {"model": "m", "messages": HELLO}
        while True:
            self._asked += 1
            headers = {**self._gateway.headers, "x-request-id": f"r{self._asked}"}
            try:
                async with self._gateway.session.post(url, json=body, headers=headers) as response:
                    await response.read()
                self.answered.add(headers["x-request-id"])
            except aiohttp.ClientError:
                pass


def recorded(path: Path) -> list[str]:
    """The request ids in a file store's ledger."""
    with closing(sqlite3.connect(path)) as ledger:
        return [id for (id,) in ledger.execute("SELECT request_id FROM requests")]


async def test_each_record_arrives_once_without_a_restart(tmp_path: Path) -> None:
    journal = tmp_path / "data" / "journal"
    async with working(tmp_path, settings(storage=FILES)) as gateway:
        load = Load(gateway)
        clients = [asyncio.create_task(load.client()) for _ in range(4)]
        descriptors = len(os.listdir(f"/proc/{gateway.daemon.pid}/fd"))
        for end in range(1, 4):
            await load.run_until(end * ANSWERS)
            os.kill(gateway.pids[0], signal.SIGKILL)
            await eventually(lambda: len(gateway.pids) == WORKERS)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        await eventually(lambda: len(list(journal.glob("*.lock"))) == WORKERS)
        await eventually(lambda: all(is_empty(path) for path in journal.glob("*.journal")))
        assert len(os.listdir(f"/proc/{gateway.daemon.pid}/fd")) <= descriptors
        found = recorded(tmp_path / "data" / "coo-llm.db")
        assert len(found) == len(set(found))
        assert set(found) >= load.answered
