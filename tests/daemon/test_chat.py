"""A chat and a stream through a whole gateway."""

from __future__ import annotations

from pathlib import Path

from tests.daemon.running import configured, running, text_of
from tests.fakes.openai import FakeOpenAI


async def test_a_chat_and_a_stream(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    provider = {
        "id": "up",
        "type": "openai",
        "api_keys": ["good-key"],
        "base_url": fake_openai.url,
        "model": "gpt-4o",
        "pricing": {"input_token_cost": 0.0025, "output_token_cost": 0.01},
    }
    async with running(configured(provider), tmp_path) as gateway:
        status, answer, headers = await gateway.ask(model="gpt-4o")
        assert status == 200
        assert answer["choices"][0]["message"]["content"] == "Echo: Hello"
        assert headers["x-coo-provider"] == "up"
        assert float(headers["x-coo-cost"]) == answer["usage"]["cost"] > 0
        status, events, headers = await gateway.stream(model="gpt-4o")
        assert (status, text_of(events), events[-1]) == (200, "Echo: Hello", "[DONE]")
        assert "x-coo-cost" not in headers
