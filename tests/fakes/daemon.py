"""`Daemon`: the real gateway as a subprocess, from a configuration to a clean exit."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml

from tests.fakes.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 60.0
STOP_SECONDS = 20.0
_POLL = 0.02
ACTIVATE = """\
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Hands a socket over by sd_listen_fds(3), which wants the number of the process that uses it."""
_PROBE = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


class Daemon:
    """``async with Daemon(config, tmp_path) as daemon:`` is ready at ``daemon.url`` and stopped after.

    Its files are in ``folder``: ``config.yaml`` and ``stderr.log``; relative paths in the configuration
    start there as well. ``wrapper`` comes before the command (``("taskset", "-c", "0")``) and ``module``
    can stand in for the gateway's.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        folder: Path,
        *,
        env: Mapping[str, str] | None = None,
        wrapper: Sequence[str] = (),
        module: Sequence[str] = ("-m", "gateway"),
        activated: socket.socket | None = None,
    ) -> None:
        """``activated``: a listening socket that is handed over as systemd does."""
        self.port = free_port() if activated is None else activated.getsockname()[1]
        self._activated = activated
        self.folder = folder
        self.config_path = folder / "config.yaml"
        self.stderr_path = folder / "stderr.log"
        if activated is not None:
            wrapper = (sys.executable, "-c", ACTIVATE, str(activated.fileno()), *wrapper)
        self._command = [*wrapper, sys.executable, *module, "-c", str(self.config_path)]
        self._env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}", **(env or {})}
        self._process: asyncio.subprocess.Process | None = None
        self.write(config)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def stderr(self) -> str:
        """What the daemon has said so far."""
        return self.stderr_path.read_text(errors="replace")

    def write(self, config: Mapping[str, Any]) -> None:
        """Put ``config`` in place by an atomic rename, listening on this daemon's port."""
        server = {**config.get("server", {}), "listen": f"127.0.0.1:{self.port}"}
        draft = self.config_path.with_suffix(".new")
        whole = {**config, "server": server}
        text = yaml.dump(whole, Dumper=yaml.CSafeDumper, sort_keys=False, default_flow_style=None)
        draft.write_text(text)
        draft.replace(self.config_path)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and self._running():
                await self.stop()
        finally:
            await self.kill()

    async def start(self) -> None:
        """Start it and wait until it is ready. Raises `RuntimeError` with its last words if it exits."""
        with self.stderr_path.open("ab") as stderr:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                cwd=self.folder,
                env=self._env,
                stdin=asyncio.subprocess.DEVNULL,
                stderr=stderr,
                pass_fds=() if self._activated is None else [self._activated.fileno()],
            )
        try:
            async with asyncio.timeout(READY_SECONDS):
                while not await self.ready():
                    if not self._running():
                        raise RuntimeError(f"exit {self._process.returncode} at start:\n{self.stderr}")
                    await asyncio.sleep(_POLL)
        except BaseException:
            await self.kill()
            raise

    async def ready(self) -> bool:
        """Whether ``GET /readyz`` answers 200."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        try:
            writer.write(_PROBE)
            return b" 200 " in await reader.readline()
        except OSError:
            return False
        finally:
            writer.close()

    def reload(self, config: Mapping[str, Any] | None = None) -> None:
        """Send SIGHUP, after writing the new configuration if there is one."""
        if config is not None:
            self.write(config)
        self.signal(signal.SIGHUP)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def stop(self) -> None:
        """Send SIGTERM and assert that it exits with 0."""
        self.signal(signal.SIGTERM)
        status = await self.wait()
        assert status == 0, f"exit {status} after SIGTERM:\n{self.stderr}"

    async def wait(self) -> int:
        """Wait until it has exited; return its status."""
        assert self._process is not None
        async with asyncio.timeout(STOP_SECONDS):
            return await self._process.wait()

    async def kill(self) -> None:
        """SIGKILL it if it still runs."""
        if self._running() and self._process is not None:
            self._process.kill()
            await self._process.wait()

    def _running(self) -> bool:
        return self._process is not None and self._process.returncode is None
