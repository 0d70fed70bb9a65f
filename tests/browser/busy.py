"""A gateway with a past and a present: something of everything that the dashboard has to show."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.browser.history import DAY, Served, fill, past
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.daemon import Daemon
from tests.fakes.gemini import FakeGemini
from tests.fakes.openai import FakeOpenAI
from tests.fakes.ports import free_port
from tests.fakes.upstream import Fault

ADMIN_KEY = "an-admin-key-for-the-browser"
_ADMIN = {"authorization": f"Bearer {ADMIN_KEY}"}
PASSWORD = "a-password-for-the-browser"
SERVER = {"admin_api_key": ADMIN_KEY, "webui": {"admin_password": PASSWORD}}
CLIENTS = ("analytics", "chatbot", "mobile-app", "nightly-batch", "research")
_PAST = (
    Served("openai-prod", "main", "gpt-4o", "smart", 900, 4_000),
    Served("openai-prod", "spare", "gpt-4o-mini", "gpt-4o-mini", 400, 300),
    Served("claude-prod", "team", "claude-sonnet-4-5", "smart", 1300, 6_000),
    Served("gemini-prod", "main", "gemini-2.5-flash", "fast", 350, 400),
    Served("house", "one", "small", "small", 60, 10),
    Served("lab", "one", "experiment", "experiment", 200, None),
)
_RECORDS = 4000
_POLL, _TRIES = 0.05, 400


@dataclass(frozen=True, slots=True)
class Busy:
    """A running gateway, and how to call it."""

    daemon: Daemon
    session: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return self.daemon.url

    async def chat(self, client: str, model: str, text: str = "Hello", **body: Any) -> aiohttp.ClientResponse:
        """The answer to a chat by ``client``, whose key is its id with ``sk-`` before it."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], **body}
        headers = {"authorization": f"Bearer sk-{client}"}
        url = f"{self.url}/v1/chat/completions"
        async with self.session.post(url, json=body, headers=headers) as response:
            await response.read()
            return response

    async def recorded(self, answer: aiohttp.ClientResponse) -> None:
        """Wait until the record of the request with this ``answer`` is in the store, and all before it."""
        url = f"{self.url}/admin/v1/requests/{answer.headers['x-request-id']}"

        async def there() -> bool:
            async with self.session.get(url, headers=_ADMIN) as response:
                return response.status == 200

        await _until(there)

    async def admin(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an admin call, ``path`` below ``/admin/v1/``, which must succeed."""
        url = f"{self.url}/admin/v1/{path}"
        async with self.session.request(method, url, json=body, headers=_ADMIN) as response:
            assert response.status < 300, await response.text()
            return await response.json()


@asynccontextmanager
async def serving(config: Mapping[str, Any], folder: Path) -> AsyncIterator[Busy]:
    """A gateway with this configuration, its files in ``folder``."""
    async with Daemon(config, folder) as daemon, aiohttp.ClientSession() as session:
        yield Busy(daemon, session)


@asynccontextmanager
async def busy_gateway(folder: Path) -> AsyncIterator[Busy]:
    """The gateway, in front of upstreams that run as long as it does."""
    await fill(folder / "data/coo-llm.db", past(_RECORDS, 7 * DAY, time.time(), CLIENTS, _PAST))
    async with AsyncExitStack() as stack:
        openai = await stack.enter_async_context(FakeOpenAI(keys=("sk-main", "sk-spare")))
        claude = await stack.enter_async_context(FakeAnthropic(keys=("sk-team", "sk-second")))
        gemini = await stack.enter_async_context(FakeGemini(keys=("sk-main",)))
        config = _config(openai.url, claude.url, gemini.url)
        busy = await stack.enter_async_context(serving(config, folder))
        await _traffic(busy)
        openai.script.append(Fault(429, "Rate limit reached for gpt-4o", {"retry-after": "3600"}))
        answer = await busy.chat("chatbot", "openai-prod:gpt-4o", "Does the retry work?")
        assert answer.headers["x-coo-attempts"] == "2"
        await _administration(busy)
        await busy.recorded(answer)
        yield busy


def _config(openai: str, claude: str, gemini: str) -> dict[str, Any]:
    return {
        "server": SERVER,
        "storage": {"master_key": "a master key for the browser"},
        "llm_providers": [
            _provider("openai-prod", "openai", "gpt-4o", ("main", "spare", "revoked"), base_url=openai)
            | {"name": "OpenAI", "models": ["gpt-4o-mini"], "pricing": _price(0.0025, 0.01)},
            _provider("claude-prod", "claude", "claude-sonnet-4-5", ("team", "second"), base_url=claude)
            | {"name": "Anthropic", "pricing": _price(0.003, 0.015)},
            _provider("gemini-prod", "gemini", "gemini-2.5-flash", ("main",), base_url=gemini)
            | {"name": "Google", "pricing": _price(0.0003, 0.0025)},
            _provider("house", "echo", "small", ("one",), limits={"req_per_min": 30})
            | {"name": "In house", "pricing": _price(0.00001, 0.00001), "token_ms": 5},
            _provider("lab", "echo", "experiment", ("one",)),
            _provider("closet", "openai", "llama", ("old",), base_url=f"http://127.0.0.1:{free_port()}"),
        ],
        "api_keys": [
            {"id": "analytics", "key": "sk-analytics", "budget": {"usd": 0.25, "window": "1d"}},
            {"id": "chatbot", "key": "sk-chatbot", "description": "The bot on the front page"},
            {"id": "mobile-app", "key": "sk-mobile-app", "limits": {"req_per_min": 20, "max_parallel": 20}},
            {"id": "nightly-batch", "key": "sk-nightly-batch", "allowed_providers": ["house", "lab"]},
            {"id": "research", "key": "sk-research", "allowed_models": ["smart", "small"]},
            {"id": "trainee", "key": "sk-trainee", "expires_at": "2026-01-31T00:00:00Z"},
        ],
        "model_aliases": {
            "smart": [
                {"target": "openai-prod:gpt-4o", "weight": 2},
                {"target": "claude-prod:claude-sonnet-4-5", "weight": 1},
            ],
            "fast": "gemini-prod:gemini-2.5-flash",
        },
        "policy": {
            "cache": {"enabled": True, "ttl_seconds": 600},
            "retry": {"interval": 0},
            "circuit_breaker": {"min_requests": 4, "cooldown": "1h"},
        },
    }


def _provider(id: str, type: str, model: str, keys: Sequence[str], **settings: Any) -> dict[str, Any]:
    secrets = [{"id": key, "key": f"sk-{key}"} for key in keys]
    return {"id": id, "type": type, "model": model, "api_keys": secrets, **settings}


def _price(input: float, output: float) -> dict[str, float]:
    return {"input_token_cost": input, "output_token_cost": output}


async def _traffic(busy: Busy) -> None:
    """Chats and streams, answers from the cache, errors, a window nearly full, a circuit that opens."""
    await asyncio.gather(
        *(busy.chat("chatbot", "smart", f"Question {i}", stream=i % 2 == 0) for i in range(10)),
        *(busy.chat("analytics", "fast", f"Row {i}") for i in range(6)),
        *(busy.chat("analytics", "claude-prod:claude-sonnet-4-5", f"Sum up {i}") for i in range(5)),
        *(busy.chat("mobile-app", "openai-prod:gpt-4o-mini", f"Tap {i}") for i in range(17)),
        *(busy.chat("nightly-batch", "house:small", f"Document {i}") for i in range(26)),
        *(busy.chat("nightly-batch", "lab:experiment", f"Sample {i}") for i in range(4)),
    )
    await _until(lambda: _is_cached(busy))  # after so much at once the store is left alone for a while
    for i in range(4):
        await busy.chat("chatbot", "closet:llama", f"Anybody there? {i}")
    await busy.chat("research", "no-such-model")
    await busy.chat("trainee", "smart")
    await busy.chat("research", "gemini-prod:gemini-2.5-flash")


async def _is_cached(busy: Busy) -> bool:
    answer = await busy.chat("chatbot", "fast", "When do you open?")
    return answer.headers["x-coo-cache"] == "hit"


async def _until(true: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(_TRIES):
        if await true():
            return
        await asyncio.sleep(_POLL)
    raise AssertionError("it did not come about")


async def _administration(busy: Busy) -> None:
    """What an operator has done so far."""
    await busy.admin("POST", "providers/claude-prod/keys/second/disable")
    await busy.admin("POST", "config", {"policy": {"retry": {"max_attempts": 4}}})
    partner = {"id": "partner", "description": "Made here", "budget": {"usd": 50}}
    await busy.admin("POST", "clients", partner)
    await busy.admin("POST", "clients/partner/rotate", {"grace": "1d"})
