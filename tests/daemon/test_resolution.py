"""What a model name stands for, in order of precedence, and what a made-up name may not do."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from gateway.catalog import MAX_UNLISTED
from gateway.routing.memory import MAX_MODELS
from tests.daemon.running import Gateway, configured, running

PRICE = {"input_token_cost": 1, "output_token_cost": 1}
PROVIDERS: list[dict[str, Any]] = [
    {"id": "one", "type": "echo", "model": "m", "models": ["a:b", "both", "taken"], "pricing": PRICE},
    {"id": "two", "type": "echo", "model": "both", "models": ["echo-like", "smart"]},
    {"id": "o", "type": "openai", "base_url": "http://127.0.0.1:9", "api_keys": ["k"], "model": "own"},
]
ALIASES: dict[str, Any] = {
    "smart": "one:m",
    "one:m": "two:both",
    "block": {"target": "one:m"},
    "taken": "two:echo-like",
    "of-type": "echo:both",
    "unlisted": "one:brand-new",
    "lost": "gone:m",
    "half-lost": ["gone:m", "one:m"],
    "pool": [{"target": "one:m", "weight": 3}, "two:both"],
    "chain": "one:smart",
}
RESOLVED = [
    # asked for, who may answer (provider, model)
    ("one:m", {("one", "m")}),  # an id before an alias of the same name
    ("one:anything/at:all", {("one", "anything/at:all")}),  # unlisted; the first colon counts
    ("two:smart", {("two", "smart")}),
    ("echo:both", {("one", "both"), ("two", "both")}),  # every provider of the type
    ("echo:new", {("one", "new"), ("two", "new")}),
    ("smart", {("one", "m")}),  # an alias before a model of the same name
    ("block", {("one", "m")}),
    ("taken", {("two", "echo-like")}),
    ("of-type", {("one", "both"), ("two", "both")}),
    ("unlisted", {("one", "brand-new")}),
    ("half-lost", {("one", "m")}),
    ("pool", {("one", "m"), ("two", "both")}),
    ("chain", {("one", "smart")}),  # targets are never aliases
    ("both", {("one", "both"), ("two", "both")}),  # a bare name, wherever it is served
    ("a:b", {("one", "a:b")}),  # its colon follows neither an id nor a type
    ("brand-new", {("one", "brand-new")}),  # an alias' target is a model served
]
UNKNOWN = ["nothing", "lost", "gone:m", "x:y", "one:", ":m", "gemini-pro", "claude-x", "M", "echo"]


def _config() -> dict[str, Any]:
    return configured(*PROVIDERS, model_aliases=ALIASES, policy={"algorithm": "round_robin"})


async def _answerers(gateway: Gateway, model: str, times: int) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for _ in range(times):
        status, answer, headers = await gateway.ask(model=model)
        assert status == 200, answer
        assert answer["model"] == headers["x-coo-model"]
        found[headers["x-coo-provider"], headers["x-coo-model"]] += 1
    return found


async def test_names_resolve_in_order_of_precedence(tmp_path: Path) -> None:
    async with running(_config(), tmp_path) as gateway:
        for name, expected in RESOLVED:
            assert set(await _answerers(gateway, name, 4)) == expected, name


async def test_names_that_stand_for_nothing_are_404(tmp_path: Path) -> None:
    async with running(_config(), tmp_path) as gateway:
        for name in UNKNOWN:
            status, answer, headers = await gateway.ask(model=name)
            error = answer["error"]
            assert (status, error["code"], error["param"]) == (404, "model_not_found", "model"), name
            assert headers["x-coo-error-source"] == "caller"


async def test_a_weighted_pool_is_shared_out_by_its_weights(tmp_path: Path) -> None:
    async with running(_config(), tmp_path) as gateway:
        assert await _answerers(gateway, "pool", 20) == {("one", "m"): 15, ("two", "both"): 5}


async def test_the_type_is_inferred_only_where_nothing_else_fits(nasty: Any, tmp_path: Path) -> None:
    provider = {"id": "up", "type": "openai", "api_keys": ["k"], "base_url": nasty.url, "model": "gpt-4o"}
    async with running(configured(provider, *PROVIDERS[:2]), tmp_path) as gateway:
        for name in ("gpt-99", "o1-mini", "o3", "chatgpt-x", "gpt-4o"):
            status, _, headers = await gateway.ask(model=name)
            assert (status, headers["x-coo-provider"], headers["x-coo-model"]) == (200, "up", name)


async def test_an_alias_may_bear_the_prefix_of_a_type_without_a_provider(tmp_path: Path) -> None:
    """``claude`` is a type, but no provider here is of it: the colon is part of the name."""
    provider = {"id": "one", "type": "echo", "model": "claude:x"}
    async with running(configured(provider, model_aliases={"gemini:y": "one:z"}), tmp_path) as gateway:
        assert set(await _answerers(gateway, "claude:x", 1)) == {("one", "claude:x")}
        assert set(await _answerers(gateway, "gemini:y", 1)) == {("one", "z")}


async def test_a_thousand_made_up_names_leave_bounded_state(tmp_path: Path) -> None:
    async with running(_config(), tmp_path) as gateway:
        await gateway.ask(model="one:m")
        few = 0
        for number in range(1000):
            if number == 10:
                few = len((await gateway.samples()).all)
            status, answer, headers = await gateway.ask(model=f"one:made-up-{number}")
            assert (status, answer["usage"]["cost"], "x-coo-cost" in headers) == (200, None, False)
            if number % 10 == 0:
                assert (await gateway.ask(model=f"nothing-{number}"))[0] == 404
        samples = await gateway.samples()
        assert samples.values("requests_total", "model") == {"m", "other"}
        assert samples.sum("unknown_price_total", provider="one", model="other") == 1000
        assert len(samples.all) == few
        catalog, memory = gateway.live.current.catalog, gateway.live.memory
        assert len(catalog._unlisted) <= MAX_UNLISTED
        assert all(len(key.models) <= MAX_MODELS for key in memory.keys.values())
