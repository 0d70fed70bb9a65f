"""Killed at any moment, the gateway has lost no record of an answer that a client has in full."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.api import Filter, Record, Site, Total
from gateway_stores.file import FileStore
from tests.daemon.running import ADMIN_KEY, KEY, until
from tests.fakes.daemon import Daemon

CLIENTS = 12
ECHO = {
    "id": "up",
    "type": "echo",
    "model": "m",
    "token_ms": 0.5,
    "pricing": {"input_token_cost": 0.001234567, "output_token_cost": 0.00300009},
}


def config(folder: Path) -> dict[str, Any]:
    return {
        "server": {"admin_api_key": ADMIN_KEY},
        "llm_providers": [ECHO],
        "api_keys": [{"id": "one", "key": KEY}],
        "logging": {"file": {"enabled": False}, "audit": {"enabled": False}},
        "storage": {
            "config": {"type": "memory"},
            "runtime": {"type": "file", "path": str(folder / "runtime.db")},
            "journal": str(folder / "journal"),
        },
    }


class Load:
    """Clients that ask until they are told to stop, and what they were given in full."""

    def __init__(self, url: str, rounds: str) -> None:
        self._url = url
        self._name = rounds
        self._asked = 0
        self.delivered: dict[str, tuple[int, int | None]] = {}
        """Status and cost in nano-dollars, by request id."""
        self._more = asyncio.Event()

    async def run_until(self, answers: int) -> None:
        """Returns with the clients still asking."""
        while len(self.delivered) < answers:
            self._more.clear()
            await self._more.wait()

    async def client(self, session: aiohttp.ClientSession) -> None:
        while True:
            self._asked += 1
            id = f"{self._name}-{self._asked}"
            body: dict[str, Any] = {"model": "m" if self._asked % 7 else "unknown"}
            body["messages"] = [{"role": "user", "content": "word " * random.randint(1, 9)}]
            if self._asked % 2:
                body |= {"stream": True, "stream_options": {"include_usage": True}}
            headers = {"authorization": f"Bearer {KEY}", "x-request-id": id}
            try:
                async with session.post(self._url, json=body, headers=headers) as response:
                    self.delivered[id] = response.status, cost(response.headers, await response.read())
            except aiohttp.ClientError:
                return
            self._more.set()


def cost(headers: Mapping[str, str], body: bytes) -> int | None:
    """Nano-dollars as the client was told. Raises `aiohttp.ClientPayloadError` for half a stream."""
    if not headers["content-type"].startswith("text/event-stream"):
        return nano(headers["x-coo-cost"]) if "x-coo-cost" in headers else None
    *_, last, done, rest = body.split(b"\n\n")
    if done != b"data: [DONE]" or rest:
        raise aiohttp.ClientPayloadError
    return nano(json.loads(last.removeprefix(b"data: "), parse_float=str)["usage"]["cost"])


def nano(dollars: str) -> int:
    return int(Decimal(dollars) * 10**9)


async def ledger(path: str) -> tuple[list[Record], list[Total]]:
    """All records in a file store, and its total of all."""
    store = FileStore(path)
    await store.open(Site())
    try:
        return await store.requests(Filter(), 10**6), await store.totals(Filter(), [])
    finally:
        await store.close()


def is_empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except FileNotFoundError:
        return True


@pytest.mark.timeout(600)  # 200 starts, on a machine that may have other work
async def test_no_answer_in_full_is_without_its_record(tmp_path: Path, long_run: bool) -> None:
    delivered: dict[str, tuple[int, int | None]] = {}
    daemon = Daemon(config(tmp_path), tmp_path)
    for number in range(200 if long_run else 20):
        await daemon.start()
        load = Load(f"{daemon.url}/v1/chat/completions", f"r{number}")
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            clients = [asyncio.create_task(load.client(session)) for _ in range(CLIENTS)]
            await load.run_until(random.randint(1, 150))
            await daemon.kill()
            await asyncio.gather(*clients)
        delivered |= load.delivered
    async with daemon:
        await until(lambda: all(is_empty(path) for path in (tmp_path / "journal").glob("*.journal")))
    records, totals = await ledger(str(tmp_path / "runtime.db"))
    assert [id for id, count in Counter(one.request_id for one in records).items() if count > 1] == []
    recorded = {one.request_id: (one.status, one.cost_nano_usd) for one in records}
    assert {id: recorded.get(id) for id in delivered} == delivered
    assert [(total.requests, total.cost_nano) for total in totals] == [
        (len(records), sum(one.cost_nano_usd or 0 for one in records))
    ]
    assert not any((tmp_path / "journal").iterdir())


async def test_a_journal_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("")
    with pytest.raises(RuntimeError) as failure:
        await Daemon(config(tmp_path), tmp_path).start()
    first, *lines = str(failure.value).splitlines()
    assert first.startswith("exit 1")
    assert [line for line in lines if "cannot start" in line and str(tmp_path / "journal") in line]
    assert "Traceback" not in str(failure.value)
