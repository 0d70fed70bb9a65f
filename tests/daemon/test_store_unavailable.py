"""Where limits cannot be checked and must be (``on_trouble: closed``), clients are told to come again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.api import StoreUnavailable
from tests.daemon.running import configured, running
from tests.fakes.openai import FakeOpenAI


async def test_says_so_in_the_envelope_and_not_why(
    fake_openai: FakeOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("redis at 10.0.0.7 does not answer")

    provider = {"id": "up", "type": "openai", "api_keys": ["good-key"], "base_url": fake_openai.url}
    async with running(configured({**provider, "model": "gpt-4o"}), tmp_path) as gateway:
        monkeypatch.setattr(gateway.live.store, "reserve", lost)
        status, answer, headers = await gateway.ask(model="gpt-4o")
        assert (status, answer["error"]["code"]) == (503, "store_unavailable")
        assert headers["retry-after"] == "1"
        assert "10.0.0.7" not in answer["error"]["message"]
        monkeypatch.undo()
        assert (await gateway.ask(model="gpt-4o"))[0] == 200
