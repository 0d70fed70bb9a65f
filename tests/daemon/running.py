"""A whole gateway in this process and event loop: the daemon itself, less its signals."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from gateway.api import Record
from gateway.config.read import read
from gateway.daemon import Daemon
from gateway.registry import Registry
from gateway.runtime import Live
from tests.fakes.daemon import free_port

KEY = "sk-client-1"
ADMIN_KEY = "admin-key-of-the-tests"
ADMIN = {"authorization": f"Bearer {ADMIN_KEY}"}
HELLO = [{"role": "user", "content": "Hello"}]


@dataclass(slots=True)
class Gateway:
    """A running gateway and a session to talk to it with; ``live`` is its inside."""

    port: int
    path: Path
    daemon: Daemon
    session: aiohttp.ClientSession
    config: dict[str, Any]
    headers: dict[str, str] = field(default_factory=lambda: {"authorization": f"Bearer {KEY}"})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def live(self) -> Live:
        assert self.daemon.live is not None
        return self.daemon.live

    async def records(self, count: int) -> list[Record]:
        """The newest ``count`` usage records, newest first, once there are that many."""
        found: list[Record] = []
        for _ in range(200):
            found = await self.live.store.recent(count)
            if len(found) >= count:
                return found
            await asyncio.sleep(0.01)
        raise AssertionError(f"only {len(found)} records")

    def write(self, config: Mapping[str, Any]) -> None:
        """Put another configuration in place by a rename; its ``server.listen`` is filled in."""
        whole = {**config, "server": {**self.config["server"], **config.get("server", {})}}
        draft = self.path.with_suffix(".new")
        draft.write_text(yaml.safe_dump({"logging": self.config["logging"], **whole}))
        draft.replace(self.path)

    async def reload(self) -> tuple[int, Any]:
        """Status and body of ``POST /admin/v1/reload``."""
        async with self.session.post(f"{self.url}/admin/v1/reload", headers=ADMIN) as response:
            return response.status, await response.json()

    def chat(self, **body: Any) -> Any:
        """A chat request: ``async with gateway.chat(model=…) as response``."""
        body = {"model": "m", "messages": HELLO, **body}
        return self.session.post(f"{self.url}/v1/chat/completions", json=body, headers=self.headers)

    async def ask(self, **body: Any) -> tuple[int, Any, Mapping[str, str]]:
        """Status, JSON body and headers of a chat."""
        async with self.chat(**body) as response:
            return response.status, await response.json(), response.headers

    async def stream(self, **body: Any) -> tuple[int, list[Any], Mapping[str, str]]:
        """Status, the JSON of every event (``[DONE]`` as a string) and headers of a streamed chat."""
        async with self.chat(stream=True, **body) as response:
            return response.status, events_of(await response.read()), response.headers


def events_of(body: bytes) -> list[Any]:
    """The events of a stream; comments are left out."""
    found = []
    for event in body.split(b"\n\n"):
        if event.startswith(b"data: "):
            data = event.removeprefix(b"data: ")
            found.append("[DONE]" if data == b"[DONE]" else json.loads(data))
    return found


def text_of(events: list[Any]) -> str:
    """The text that a stream's events make."""
    chunks = [event for event in events if isinstance(event, dict)]
    return "".join(
        choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", [])
    )


def configured(*providers: Mapping[str, Any], **sections: Any) -> dict[str, Any]:
    """A configuration with one client (`KEY`) in front of ``providers``."""
    return {
        "llm_providers": [dict(provider) for provider in providers],
        "api_keys": [{"id": "one", "key": KEY}],
        **sections,
    }


async def until(condition: Callable[[], bool]) -> None:
    """Wait until ``condition`` holds, ten seconds at most."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to be")


@asynccontextmanager
async def running(
    config: dict[str, Any], folder: Path, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Gateway]:
    """Serve ``config`` (its ``server.listen`` is filled in) until the block ends."""
    port = free_port()
    config = {
        **config,
        "server": {"listen": f"127.0.0.1:{port}", "drain_timeout": 1, **config.get("server", {})},
    }
    config.setdefault("logging", {"file": {"enabled": False}, "audit": {"enabled": False}})
    path = folder / "coo-llm.yaml"
    path.write_text(yaml.safe_dump(config))
    registry = Registry.discover()
    daemon = Daemon(str(path), read(str(path), environ or {}, registry.known()), registry)
    started = asyncio.Event()
    serving = asyncio.create_task(daemon.serve(started))
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if serving.done():
        serving.result()
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Gateway(port, path, daemon, session, config)
    daemon.stop()
    await serving
