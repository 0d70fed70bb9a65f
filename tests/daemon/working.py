"""The real daemon with several workers, and a store for them that is installed for the test alone."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.daemon.running import ADMIN, ADMIN_KEY, HELLO, KEY, Samples, samples_of
from tests.fakes.daemon import ROOT, Daemon

WORKERS = 2
SETTINGS: Mapping[str, Any] = {
    "server": {"workers": WORKERS, "admin_api_key": ADMIN_KEY, "drain_timeout": "5s"},
    "logging": {"file": {"enabled": False}, "audit": {"enabled": False}},
    "storage": {"config": {"type": "hosted"}, "runtime": {"type": "hosted"}},
    "llm_providers": [{"id": "echo", "type": "echo", "model": "m"}],
    "api_keys": [{"id": "one", "key": KEY}],
}
_ENTRY_POINTS = """\
[coo_llm.stores]
hosted = tests.daemon.hosted:HostedStore
[coo_llm.config_stores]
hosted = gateway_stores.memory:MemoryConfigStore
"""


def settings(**sections: Any) -> dict[str, Any]:
    """`SETTINGS` with these sections in their place; ``server`` is merged."""
    server = {**SETTINGS["server"], **sections.pop("server", {})}
    return {**SETTINGS, **sections, "server": server}


def installed(folder: Path) -> dict[str, str]:
    """The environment in which there is a store ``hosted``."""
    info = folder / "site" / "hosted-1.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hosted\nVersion: 1\n")
    (info / "entry_points.txt").write_text(_ENTRY_POINTS)
    return {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "plugins", folder / "site")))}


def lines_of(daemon: Daemon, message: str) -> list[dict[str, Any]]:
    """The daemon's log lines with this message so far."""
    lines = [json.loads(line) for line in daemon.stderr.splitlines() if line.startswith("{")]
    return [line for line in lines if line["message"] == message]


@dataclass(slots=True)
class Working:
    """A running daemon with workers. Each request goes over a connection of its own."""

    daemon: Daemon
    session: aiohttp.ClientSession

    @property
    def pids(self) -> list[int]:
        """The workers that run."""
        children = Path(f"/proc/{self.daemon.pid}/task/{self.daemon.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {KEY}"}

    def chat(self, **body: Any) -> Any:
        """A chat request: ``async with working.chat() as response``."""
        body = {"model": "m", "messages": HELLO, **body}
        return self.session.post(f"{self.daemon.url}/v1/chat/completions", json=body, headers=self.headers)

    async def asked(self, **body: Any) -> int:
        """The status of a chat."""
        async with self.chat(**body) as response:
            await response.read()
            return int(response.status)

    async def answered(self, **body: Any) -> tuple[int, Any]:
        """The status of a chat, and its answer."""
        async with self.chat(**body) as response:
            return response.status, await response.json()

    async def samples(self, *, whole: bool = True) -> Samples:
        """The service's metrics; ``whole``: once they are told for all workers."""
        async with asyncio.timeout(15):
            while True:
                async with self.session.get(f"{self.daemon.url}/metrics") as response:
                    samples = samples_of(await response.text())
                if samples.sum("scrape_complete") or not whole:
                    return samples

    @asynccontextmanager
    async def alone(self, pid: int) -> AsyncIterator[None]:
        """Within, this worker answers whatever is asked: the others stand still."""
        async with AsyncExitStack() as others:
            for other in self.pids:
                if other != pid:
                    await others.enter_async_context(stopped(other))
            yield

    async def health(self) -> Any:
        """What ``GET /admin/v1/health`` says."""
        async with self.session.get(f"{self.daemon.url}/admin/v1/health", headers=ADMIN) as response:
            return await response.json()

    async def reload(self) -> tuple[int, Any]:
        """Status and body of ``POST /admin/v1/reload``."""
        async with self.session.post(f"{self.daemon.url}/admin/v1/reload", headers=ADMIN) as response:
            return response.status, await response.json()

    async def versions(self, times: int = 12) -> set[str]:
        """The versions that are in force, as told over a number of connections."""
        found = set()
        for _ in range(times):
            async with self.session.get(f"{self.daemon.url}/admin/v1/config", headers=ADMIN) as response:
                found.add((await response.json())["config_version"])
        return found


@asynccontextmanager
async def working(
    folder: Path, config: Mapping[str, Any] | None = None, **options: Any
) -> AsyncIterator[Working]:
    """Run the daemon with `WORKERS` workers until the block ends; ``options`` are `Daemon`'s."""
    environ = {**installed(folder), **options.pop("env", {})}
    daemon = Daemon(config or SETTINGS, folder, env=environ, **options)
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with daemon, aiohttp.ClientSession(connector=connector) as session:
        yield Working(daemon, session)


async def eventually(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for what other processes bring about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def stopped(pid: int) -> AsyncIterator[None]:
    """Within, the process stands still. Whatever is asked, the other workers take."""
    os.kill(pid, signal.SIGSTOP)
    try:
        await eventually(lambda: _state(pid) == "T")
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def alive(pid: int) -> bool:
    """Whether a process runs (a dead one that nobody waited for does not)."""
    return _state(pid) not in ("Z", "")


def _state(pid: int) -> str:
    """The letter for what a process does; none where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""
