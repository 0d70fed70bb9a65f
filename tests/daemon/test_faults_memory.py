"""What bad peers cost in memory, measured in a process of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp

from tests.daemon.faulty import chat_request, check_error, upstream
from tests.daemon.running import HELLO, KEY, configured
from tests.fakes.chat import chunk
from tests.fakes.daemon import Daemon
from tests.fakes.nasty import NastyServer, Peer
from tests.fakes.steps import gzip_bomb, open_stream

MIB = 1024 * 1024
ALLOWED = 80 * MIB
"""More than twice what an answer may have, decoded."""


def resident(daemon: Daemon) -> int:
    """Bytes of memory the gateway's process holds."""
    line = next(
        line
        for line in Path(f"/proc/{daemon.pid}/status").read_text().splitlines()
        if line.startswith("VmRSS")
    )
    return int(line.split()[1]) * 1024


def config(url: str) -> dict[str, object]:
    quiet = {"file": {"enabled": False}, "audit": {"enabled": False}}
    return configured(upstream(url), logging=quiet, policy={"retry": {"max_attempts": 1}})


async def test_bombs_are_not_unpacked(tmp_path: Path) -> None:
    async with NastyServer(gzip_bomb(256)) as nasty, Daemon(config(nasty.url), tmp_path) as daemon:
        before = resident(daemon)
        async with aiohttp.ClientSession(headers={"authorization": f"Bearer {KEY}"}) as session:
            for _ in range(3):
                body = {"model": "m", "messages": HELLO}
                async with session.post(f"{daemon.url}/v1/chat/completions", json=body) as response:
                    assert response.status == 502
                    check_error(await response.json(), "invalid_upstream_response")
        assert resident(daemon) < before + ALLOWED


async def test_clients_that_do_not_read_fill_no_memory(tmp_path: Path) -> None:
    flowing = 0

    async def flood(peer: Peer) -> None:
        """Sends without end, as fast as it is taken."""
        nonlocal flowing
        event = chunk({"content": "x" * MIB})
        while not peer.transport.is_closing():
            await peer.send(b"%x\r\n%b\r\n" % (len(event), event))
            flowing += 1

    async with NastyServer((open_stream(), flood)) as nasty, Daemon(config(nasty.url), tmp_path) as daemon:
        before = resident(daemon)
        clients = [await asyncio.open_connection("127.0.0.1", daemon.port, limit=MIB) for _ in range(10)]
        for _, writer in clients:
            writer.write(chat_request(stream=True))
        await nasty.arrived(10)
        seen = -1
        while seen < flowing:
            seen = flowing
            await asyncio.sleep(0.3)
        assert resident(daemon) < before + ALLOWED
        for _, writer in clients:
            writer.transport.abort()
        for request in nasty.requests:
            await request.gone.wait()
