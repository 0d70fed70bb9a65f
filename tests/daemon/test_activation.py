"""Socket activation: the sockets that systemd has opened, and restarts that refuse nobody."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
import yaml

from tests.daemon.command import coo_llm
from tests.daemon.running import HELLO, KEY, configured
from tests.daemon.working import working
from tests.fakes.daemon import ACTIVATE, Daemon
from tests.fakes.ports import free_port

ECHO = {"id": "up", "type": "echo", "model": "m", "first_token_ms": 5, "token_ms": 2}
FEW, MANY = 3, 50
"""Restarts."""
CLIENTS = 8


def opened() -> socket.socket:
    """What systemd does for a unit's ``ListenStream=``."""
    return socket.create_server(("127.0.0.1", 0), backlog=512)


async def test_sockets_handed_over_take_the_place_of_listen(tmp_path: Path) -> None:
    with opened() as inherited:
        async with Daemon(configured(ECHO), tmp_path, activated=inherited) as daemon:
            assert await daemon.ready()  # bound by itself, it would have found the address in use
            assert f'"addresses":["127.0.0.1:{daemon.port}"]' in daemon.stderr.replace(" ", "")


async def test_the_admin_listener_is_beside_them(tmp_path: Path) -> None:
    beside = f"127.0.0.1:{free_port()}"
    config = configured(ECHO, server={"admin_listen": beside})
    with opened() as inherited:
        async with (
            Daemon(config, tmp_path, activated=inherited) as daemon,
            aiohttp.ClientSession() as session,
        ):
            for address, status in ((beside, 200), (f"127.0.0.1:{daemon.port}", 404)):
                async with session.get(f"http://{address}/metrics") as response:
                    assert response.status == status


async def test_fd_insists_on_them(tmp_path: Path) -> None:
    config = configured(ECHO, server={"listen": "fd://"})
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    done = await coo_llm("-c", "c.yaml", folder=tmp_path)
    assert done.code == 3
    assert done.err == "cannot listen on fd://: no sockets were handed over (LISTEN_FDS is unset)\n"


async def test_fd_takes_them(tmp_path: Path) -> None:
    with opened() as inherited:
        daemon = Daemon(configured(ECHO), tmp_path, activated=inherited)
        daemon.config_path.write_text(yaml.safe_dump(configured(ECHO, server={"listen": "fd://"})))
        async with daemon:
            assert await daemon.ready()


async def test_what_was_handed_over_is_no_socket(tmp_path: Path) -> None:
    wrapper = (sys.executable, "-c", ACTIVATE, "0")  # its input
    with pytest.raises(RuntimeError, match=r"^exit 3 at start:\ncannot use the sockets .*non-socket\n$"):
        async with Daemon(configured(ECHO), tmp_path, wrapper=wrapper):
            pass


async def test_workers_take_them(tmp_path: Path) -> None:
    with opened() as inherited:
        async with working(tmp_path, activated=inherited) as running:
            inherited.close()
            assert {await running.asked() for _ in range(6)} == {200}
            for pid in running.pids:
                os.kill(pid, signal.SIGKILL)
            assert await running.asked() == 200  # it waited for the next worker: nobody was refused


async def ask(session: aiohttp.ClientSession, *, stream: bool) -> str:
    """One request: its status, or what went wrong."""
    body = {"model": "m", "messages": HELLO, "stream": stream}
    headers = {"authorization": f"Bearer {KEY}"}
    try:
        async with session.post("/v1/chat/completions", json=body, headers=headers) as response:
            text = await response.text()
    except aiohttp.ClientError as exc:
        return repr(exc)
    whole = text.endswith("data: [DONE]\n\n") if stream else '"finish_reason"' in text
    return f"{response.status}{'' if whole else f': {text}'}"


async def under_load(url: str, kept: bool, work: Callable[[], Awaitable[None]]) -> Counter[str]:
    """What clients meet that ask all the time while ``work`` is done, half of them for streams; each over a
    connection that is ``kept``, or over a new one each time."""
    met: Counter[str] = Counter()
    done = asyncio.Event()

    async def client(number: int) -> None:
        connector = aiohttp.TCPConnector(force_close=not kept)
        async with aiohttp.ClientSession(url, connector=connector) as session:
            while not done.is_set():
                met[await ask(session, stream=bool(number % 2))] += 1

    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(client(number))
        await work()
        done.set()
    return met


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.timeout(600)
async def test_restarts_refuse_nobody(tmp_path: Path, workers: int, kept: bool, long_run: bool) -> None:
    config = configured(ECHO, server={"workers": workers}, logging={"file": {"enabled": False}})
    with opened() as inherited:
        async with Daemon(config, tmp_path, activated=inherited) as daemon:

            async def restarts() -> None:
                for _ in range(MANY if long_run else FEW):
                    await daemon.stop()
                    await daemon.start()

            met = await under_load(daemon.url, kept, restarts)
    assert set(met) == {"200"}, met
