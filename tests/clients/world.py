"""One gateway in front of a strict fake of each provider, for real client programs to talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.daemon.running import KEY, Gateway, configured, running
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.gemini import FakeGemini
from tests.fakes.openai import FakeOpenAI
from tests.fakes.upstream import FakeUpstream

KINDS = ("openai", "claude", "gemini")
CHAT = {"openai": "openai:gpt-4o", "claude": "claude:claude-sonnet-4-5", "gemini": "gemini:gemini-2.5-flash"}
"""By provider, a model that takes sampling parameters and does not think unless asked to."""
THINKING = {"openai": "openai:gpt-5.1", "claude": "claude:claude-sonnet-5-5", "gemini": "gemini:gemini-3-pro"}
"""By provider, a model that thinks, and insists on its signatures where the provider has such."""
EMBEDDING = {"openai": "openai:text-embedding-3-small", "gemini": "gemini:gemini-embedding-001"}

_CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
PRICING = {"input_token_cost": 0.001, "output_token_cost": 0.002}


def tool(name: str) -> dict[str, Any]:
    """A function tool as OpenAI's clients declare it."""
    function = {"name": name, "description": "About a city.", "parameters": _CITY, "strict": True}
    return {"type": "function", "function": function}


TOOLS = [tool("get_weather"), tool("get_time")]


@dataclass(slots=True)
class World:
    """The gateway and, by provider id, the fakes behind it."""

    gateway: Gateway
    fakes: Mapping[str, FakeUpstream]

    @property
    def settings(self) -> dict[str, Any]:
        """All that a client needs to know, by the names that OpenAI's SDK and LangChain give it."""
        return {"base_url": f"{self.gateway.url}/v1", "api_key": KEY}


@asynccontextmanager
async def serving(folder: Path, **sections: Any) -> AsyncIterator[World]:
    """Serve one provider of each type, its id the type's name; ``sections`` are the configuration's."""
    fakes = {"openai": FakeOpenAI(), "claude": FakeAnthropic(), "gemini": FakeGemini()}
    async with AsyncExitStack() as stack:
        for fake in fakes.values():
            await stack.enter_async_context(fake)
        providers = [
            {
                "id": kind,
                "type": kind,
                "api_keys": ["good-key"],
                "base_url": fake.url,
                "model": CHAT[kind].partition(":")[2],
                "pricing": dict(PRICING),  # YAML would point back to the first one
            }
            for kind, fake in fakes.items()
        ]
        gateway = await stack.enter_async_context(running(configured(*providers, **sections), folder))
        yield World(gateway, fakes)
