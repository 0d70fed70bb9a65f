"""``coo-llm demo``: the product in a minute, on providers that need no key and no network."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import tempfile
from pathlib import Path

import aiohttp
import orjson
import uvloop

from gateway.config.read import ConfigError, read
from gateway.daemon import CANNOT_BIND, INVALID, Daemon
from gateway.instances import installed
from gateway.listeners import CannotBind
from gateway.registry import Registry

CONFIG = str(Path(__file__).parent / "config" / "demo.yaml")


def demo(port: int) -> int:
    """Serve the demo on ``port`` of this machine until it is stopped; the process's exit code."""
    with tempfile.TemporaryDirectory(prefix="coo-llm-demo-") as folder:
        keys = {
            "DEMO_KEY": f"sk-demo-{secrets.token_hex(12)}",
            "DEMO_ADMIN_KEY": f"admin-{secrets.token_hex(12)}",
        }
        environ = {**os.environ, **keys, "DEMO_PORT": str(port), "DEMO_FOLDER": folder}
        registry = Registry.discover()
        try:
            daemon = Daemon(None, read(CONFIG, environ, installed(registry)), registry)
            uvloop.run(_show(daemon, environ))
        except ConfigError as exc:
            print(exc, file=sys.stderr)
            return INVALID
        except CannotBind as exc:
            print(f"{exc}; try another one with --port", file=sys.stderr)
            return CANNOT_BIND
    return 0


async def _show(daemon: Daemon, environ: dict[str, str]) -> None:
    started = asyncio.Event()
    serving = asyncio.create_task(daemon.serve(started))
    showing = asyncio.create_task(_tour(daemon, started, environ))
    stopping = asyncio.create_task(daemon.stopping())
    await asyncio.wait({serving, showing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if showing.done():
        showing.result()
    showing.cancel()
    stopping.cancel()
    await serving


async def _tour(daemon: Daemon, started: asyncio.Event, environ: dict[str, str]) -> None:
    """One chat, one stream, and what to try next."""
    await started.wait()
    address = f"http://{daemon.addresses[0]}"
    key = environ["DEMO_KEY"]
    headers = {"authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(address, headers=headers) as session:
        chat = {"model": "demo", "messages": [{"role": "user", "content": "Hello from a chat"}]}
        async with session.post("/v1/chat/completions", json=chat) as response:
            answer = await response.json()
            print("A chat:    ", answer["choices"][0]["message"]["content"])
            print("  answered by", response.headers["x-coo-provider"], end=", ")
            print("for", response.headers["x-coo-cost"], "USD")
        stream = {
            "model": "demo",
            "stream": True,
            "messages": [{"role": "user", "content": "Hello from a stream"}],
        }
        print("A stream:  ", end=" ", flush=True)
        async with session.post("/v1/chat/completions", json=stream) as response:
            async for line in response.content:
                print(_piece(line), end="", flush=True)
            print("\n  answered by", response.headers["x-coo-provider"])
    print(
        _GUIDE.format(address=address, key=key, admin=environ["DEMO_ADMIN_KEY"], log=environ["DEMO_FOLDER"])
    )
    sys.stdout.flush()


def _piece(line: bytes) -> str:
    """The text in one line of the stream."""
    data = line.strip().removeprefix(b"data: ")
    if not data.startswith(b"{"):
        return ""
    return "".join(choice["delta"].get("content") or "" for choice in orjson.loads(data)["choices"])


_GUIDE = """
The gateway is running at {address}; stop it with Ctrl-C. Things to try:

  A chat (its headers say who answered, for how much, after how many attempts):
    curl -i {address}/v1/chat/completions -H 'Authorization: Bearer {key}' \\
         -d '{{"model": "demo", "messages": [{{"role": "user", "content": "Hello"}}]}}'

  A stream:
    curl -N {address}/v1/chat/completions -H 'Authorization: Bearer {key}' \\
         -d '{{"model": "demo", "stream": true, "messages": [{{"role": "user", "content": "Tell me more"}}]}}'

  The models there are (`flaky:echo-flaky` fails every other time, and you will not notice):
    curl {address}/v1/models -H 'Authorization: Bearer {key}'

  Dashboard:      {address}/ui/ (log in as admin with {admin})
  Metrics:        {address}/metrics
  Configuration:  curl {address}/admin/v1/config -H 'Authorization: Bearer {admin}'
  Request log:    {log}/coo-llm.log
"""
