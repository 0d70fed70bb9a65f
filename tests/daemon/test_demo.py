"""``coo-llm demo``: it shows what it promises, and what it tells to try works as printed."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.daemon.command import ENVIRON, coo_llm


@asynccontextmanager
async def demo(folder: Path, until: bytes) -> AsyncIterator[tuple[Process, str]]:
    """A running demo, and all it has printed to the end of the line with ``until`` in it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "demo", "--port", "0"),
        cwd=folder,
        env={**ENVIRON, "TMPDIR": str(folder)},
        stdout=PIPE,
        stderr=PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            shown = await process.stdout.readuntil(until)
        yield process, shown.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def last_words(process: Process) -> tuple[int | None, bytes]:
    """Its exit code and all it wrote to stderr."""
    _, err = await process.communicate()
    return process.returncode, err


def commands(shown: str) -> list[str]:
    """The curl lines in it, each with what belongs to it."""
    found = []
    lines = iter(shown.splitlines())
    for line in lines:
        start = line.find("curl ")
        if start >= 0:
            command = line[start:]
            while command.endswith("\\"):
                command += "\n" + next(lines)
            found.append(command)
    return found


async def run(command: str) -> str:
    process = await asyncio.create_subprocess_exec("bash", "-c", command, stdout=PIPE, stderr=PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


async def test_what_it_shows_and_what_it_tells_to_try(tmp_path: Path) -> None:
    async with demo(tmp_path, b"/coo-llm.log\n") as (process, shown):
        assert "You said: Hello from a chat" in shown
        assert "You said: Hello from a stream" in shown
        chat, stream, models, config = commands(shown)
        answered = await run(chat)
        assert answered.startswith("HTTP/1.1 200 OK")
        assert "x-coo-provider: " in answered
        assert "You said: Hello" in answered
        assert (await run(stream)).rstrip().endswith("data: [DONE]")
        assert "flaky:echo-flaky" in await run(models)
        assert '"llm_providers"' in await run(config)
        [metrics] = [line.split()[-1] for line in shown.splitlines() if "Metrics:" in line]
        assert "coo_llm_requests_total" in await run(f"curl {metrics}")
        [log] = [line.split()[-1] for line in shown.splitlines() if "Request log:" in line]
        assert await run(f"for _ in {{1..200}}; do grep -m1 request_id {log} && break; sleep 0.02; done")
        process.send_signal(signal.SIGTERM)
        assert await last_words(process) == (0, b"")
        assert await run(f"ls {tmp_path}") == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_stopped_in_the_middle_of_showing(tmp_path: Path, number: signal.Signals) -> None:
    async with demo(tmp_path, b"A stream") as (process, _):
        process.send_signal(number)
        assert await last_words(process) == (0, b"")


async def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = await coo_llm("demo", "--port", port, folder=tmp_path)
    assert (done.code, done.out) == (3, "")
    assert (
        done.err
        == f"cannot listen on 127.0.0.1:{port}: Address already in use; try another one with --port\n"
    )
