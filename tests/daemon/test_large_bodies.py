"""Large JSON bodies: parsed beside the event loop, and never two at once."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.request import accept
from gateway.request.accept import parse
from tests.daemon.running import configured, running

MIB = 1024 * 1024


async def test_large_bodies_are_parsed_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once: list[int] = []
    lock, parsing = threading.Lock(), 0

    def slowly(body: bytes) -> Any:
        nonlocal parsing
        with lock:
            parsing += 1
            at_once.append(parsing)
        if len(body) > MIB:
            assert threading.current_thread() is not threading.main_thread()
            time.sleep(0.05)
        with lock:
            parsing -= 1
        return parse(body)

    monkeypatch.setattr(accept, "parse", slowly)
    large = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * MIB}]})
    provider = {"id": "up", "type": "echo", "api_keys": ["k"], "model": "m"}
    async with running(configured(provider), tmp_path) as gateway:

        async def ask(body: bytes) -> int:
            url = f"{gateway.url}/v1/chat/completions"
            async with gateway.session.post(url, data=io.BytesIO(body), headers=gateway.headers) as response:
                await response.read()
                return response.status

        assert await asyncio.gather(*(ask(large) for _ in range(4))) == [200] * 4
    assert at_once == [1] * 4
