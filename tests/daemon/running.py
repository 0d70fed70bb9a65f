"""A whole gateway in this process and event loop: the daemon itself, less its signals."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from gateway import interpreter
from gateway.api import ConfigStore, Filter, Record
from gateway.config.read import read
from gateway.daemon import Daemon
from gateway.instances import installed
from gateway.registry import Registry
from gateway.runtime import Live
from tests.fakes.ports import free_port

KEY = "sk-client-1"
ADMIN_KEY = "an-admin-key-for-tests"
ADMIN = {"authorization": f"Bearer {ADMIN_KEY}"}
LONG = 60.0
"""Seconds after which something is no longer waited for."""
HELLO = [{"role": "user", "content": "Hello"}]


@dataclass(frozen=True, slots=True)
class Samples:
    """One scrape."""

    all: list[Sample]

    def sum(self, name: str, **labels: str) -> float:
        """What the samples of ``coo_llm_…`` with these labels come to."""
        return sum(
            sample.value
            for sample in self.all
            if sample.name == f"coo_llm_{name}" and labels.items() <= sample.labels.items()
        )

    def process(self, name: str) -> float:
        """The sample of this name, which has no labels."""
        return next(sample.value for sample in self.all if sample.name == name)

    def values(self, name: str, label: str) -> set[str]:
        """The values that a label of ``coo_llm_…`` has."""
        return {sample.labels[label] for sample in self.all if sample.name == f"coo_llm_{name}"}


@dataclass(slots=True)
class Gateway:
    """A running gateway and a session to talk to it with; ``live`` is its inside."""

    port: int
    path: Path
    daemon: Daemon
    session: aiohttp.ClientSession
    config: dict[str, Any]
    headers: dict[str, str] = field(default_factory=lambda: {"authorization": f"Bearer {KEY}"})

    def of(self, key: str) -> Gateway:
        """The same gateway for the client with ``key``."""
        return replace(self, headers={"authorization": f"Bearer {key}"})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def live(self) -> Live:
        assert self.daemon.live is not None
        return self.daemon.live

    async def records(self, count: int) -> list[Record]:
        """The newest ``count`` usage records, newest first, once there are that many."""
        async with asyncio.timeout(LONG):
            while True:
                found = await self.live.store.requests(Filter(), count)
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.005)

    def write(self, config: Mapping[str, Any]) -> None:
        """Put another configuration in place by a rename; its ``server.listen`` is filled in."""
        whole = {**config, "server": {**self.config["server"], **config.get("server", {})}}
        draft = self.path.with_suffix(".new")
        kept = {name: self.config[name] for name in ("logging", "storage")}
        draft.write_text(json.dumps({**kept, **whole}))
        draft.replace(self.path)

    async def admin(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON body of an admin call, ``path`` below ``/admin/v1/``."""
        url = f"{self.url}/admin/v1/{path}"
        async with self.session.request(method, url, headers=ADMIN, json=body) as response:
            return response.status, await response.json()

    async def post_reload(self) -> tuple[int, Any]:
        """Status and body of ``POST /admin/v1/reload``."""
        async with self.session.post(f"{self.url}/admin/v1/reload", headers=ADMIN) as response:
            return response.status, await response.json()

    def chat(self, **body: Any) -> Any:
        """A chat request: ``async with gateway.chat(model=…) as response``."""
        body = {"model": "m", "messages": HELLO, **body}
        return self.session.post(f"{self.url}/v1/chat/completions", json=body, headers=self.headers)

    async def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON body of a GET."""
        async with self.session.get(self.url + path, headers=self.headers) as response:
            return response.status, await response.json()

    async def samples(self) -> Samples:
        """Every metric as it stands."""
        async with self.session.get(self.url + "/metrics") as response:
            text = await response.text()
        return samples_of(text)

    async def reload(self, **sections: Any) -> None:
        """Put these sections into the configuration and load it."""
        self.config.update(sections)
        self.path.write_text(json.dumps(self.config))
        before = self.live.current.version
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: self.live.current.version != before)

    async def ask(self, **body: Any) -> tuple[int, Any, Mapping[str, str]]:
        """Status, JSON body and headers of a chat."""
        async with self.chat(**body) as response:
            return response.status, await response.json(), response.headers

    async def stream(self, **body: Any) -> tuple[int, list[Any], Mapping[str, str]]:
        """Status, the JSON of every event (``[DONE]`` as a string) and headers of a streamed chat."""
        async with self.chat(stream=True, **body) as response:
            return response.status, events_of(await response.read()), response.headers


def samples_of(text: str) -> Samples:
    """A scrape, from its text."""
    families = text_string_to_metric_families(text)
    return Samples([sample for family in families for sample in family.samples])


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what other tasks bring about; not for time to pass."""
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.002)


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


def openai(url: str, **settings: Any) -> dict[str, Any]:
    """A provider ``up`` at a `FakeOpenAI`'s address."""
    return {
        "id": "up",
        "type": "openai",
        "api_keys": ["good-key"],
        "base_url": url,
        "model": "gpt-4o",
        **settings,
    }


@dataclass(slots=True)
class Clock:
    """Monotonic seconds that pass only when told to."""

    now: float = field(default_factory=time.monotonic)

    def __call__(self) -> float:
        return self.now


class _Arranged(Registry):
    """Stores that it builds go by ``clock``, and the configuration is kept in ``config_store``."""

    clock: Clock | None = None
    config_store: ConfigStore | None = None

    def build(self, group: str, name: str, settings: Mapping[str, Any], path: str) -> Any:
        if group == "config_stores" and self.config_store is not None:
            return self.config_store
        made = super().build(group, name, settings, path)
        if group == "stores" and self.clock is not None:
            made.clock = self.clock
        return made


@asynccontextmanager
async def running(
    config: dict[str, Any],
    folder: Path,
    *,
    clock: Clock | None = None,
    environ: Mapping[str, str] | None = None,
    config_store: ConfigStore | None = None,
) -> AsyncIterator[Gateway]:
    """Serve ``config`` (its ``server.listen`` is filled in) until the block ends.

    With a ``clock`` the limits' windows go by it; a ``config_store`` may be shared with other gateways. The
    interpreter is not tuned: it would keep all that is there then, in a process that outlives many gateways.
    """
    port = free_port()
    config = {
        **config,
        "server": {
            "listen": f"127.0.0.1:{port}",
            "drain_timeout": 1,
            **config.get("server", {}),
        },
    }
    config.setdefault("logging", {"file": {"enabled": False}, "audit": {"enabled": False}})
    config.setdefault("storage", {"config": {"type": "memory"}, "runtime": {"type": "memory"}})
    path = folder / "coo-llm.yaml"  # JSON is YAML
    path.write_text(json.dumps(config))
    registry = _Arranged.discover()
    registry.clock, registry.config_store = clock, config_store
    daemon = Daemon(str(path), read(str(path), environ or {}, installed(registry)), registry)
    started = asyncio.Event()
    with patch.object(interpreter, "tune"):
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
