"""Provider keys that an operator takes out of use: never chosen, in no process, and not after a restart."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.api import Kind, Outcome
from gateway_stores.memory import MemoryConfigStore
from tests.daemon.running import ADMIN_KEY, Gateway, configured, running, until

KEYS = [{"id": "a", "key": "key-a"}, {"id": "b", "key": "key-b"}]
UP = {"id": "up", "type": "echo", "model": "m", "api_keys": KEYS}
SERVER = {"server": {"admin_api_key": ADMIN_KEY}}
STORAGE = {"config": {"type": "memory"}, "runtime": {"type": "memory"}, "master_key": "a master key of tests"}


async def keys_used(gateway: Gateway, count: int = 6) -> set[str]:
    answers = [await gateway.ask() for _ in range(count)]
    assert {status for status, _, _ in answers} == {200}
    return {headers["x-coo-key"] for _, _, headers in answers}


async def switch(gateway: Gateway, key: str, what: str) -> Any:
    status, body = await gateway.admin("POST", f"providers/up/keys/{key}/{what}")
    assert status == 200
    return body["key"]["state"]


async def test_a_disabled_key_is_never_chosen_until_it_is_enabled(tmp_path: Path) -> None:
    store = MemoryConfigStore()
    config = configured(UP, **SERVER, policy={"algorithm": "round_robin"})
    async with running(config, tmp_path, config_store=store) as gateway:
        assert await keys_used(gateway) == {"a", "b"}
        assert await switch(gateway, "a", "disable") == "disabled"
        assert await keys_used(gateway) == {"b"}
        samples = await gateway.samples()
        assert samples.sum("key_state", key="a", state="disabled") == 1
        gateway.write({**config, "policy": {"algorithm": "hybrid"}})
        await gateway.post_reload()
        assert await keys_used(gateway) == {"b"}
    async with running(config, tmp_path, config_store=store) as gateway:
        assert await keys_used(gateway) == {"b"}
        assert (await gateway.admin("GET", "config/overlay"))[1]["disabled"] == ["up/a"]
        assert await switch(gateway, "a", "enable") == "active"
        assert await keys_used(gateway) == {"a", "b"}


async def test_a_rejected_key_is_told_as_disabled_until_it_works(tmp_path: Path) -> None:
    config = configured(UP, **SERVER, policy={"algorithm": "round_robin"})
    async with running(config, tmp_path, config_store=MemoryConfigStore()) as gateway:

        async def told() -> tuple[Any, ...]:
            """Whether it is disabled, in each place that says so."""
            keys = {key["id"]: key for key in (await gateway.admin("GET", "providers/up"))[1]["keys"]}
            (_, health), (_, dry) = await asyncio.gather(
                gateway.admin("GET", "health"), gateway.admin("POST", "route", {"model": "m"})
            )
            assert keys["a"]["cooled_seconds"] == 0
            assert [one["usable"] for one in dry["candidates"]] == [True, True]
            return (
                keys["a"]["state"],
                (await gateway.samples()).sum("key_state", key="a", state="disabled"),
                health["provider_keys"]["up"],
                {one["key"] for one in dry["candidates"] if one["rejected"]},
            )

        memory, before = gateway.live.memory, time.monotonic() - 61
        key = memory.keys["key:up/a"]
        memory.cool(key, key.penalty.on_failure(Outcome(Kind.KEY, 401, "Rejected."), before), before)
        assert await told() == ("disabled", 1, {"active": 1, "disabled": 1}, {"a"})
        assert await keys_used(gateway) == {"a", "b"}
        assert await told() == ("active", 0, {"active": 2}, set())


async def test_with_all_keys_disabled_another_provider_answers_or_nobody(tmp_path: Path) -> None:
    other = {"id": "other", "type": "echo", "model": "m"}
    async with running(configured(UP, other, **SERVER), tmp_path) as gateway:
        for key in "ab":
            await switch(gateway, key, "disable")
        status, _, headers = await gateway.ask(model="up:m")
        assert (status, headers["x-coo-provider"]) == (200, "other")
    async with running(configured(UP, **SERVER), tmp_path) as gateway:
        for key in "ab":
            await switch(gateway, key, "disable")
        status, body, _ = await gateway.ask()
        assert (status, body["error"]["code"]) == (503, "no_provider_available")
        assert "disabled" in body["error"]["message"]


@pytest.mark.parametrize("path", ["", "/llm_providers/new", "/llm_providers/up"])
async def test_a_key_that_is_taken_back_leaves_nothing_disabled(tmp_path: Path, path: str) -> None:
    new = {"id": "new", "type": "echo", "model": "n"}
    config = configured(UP, **SERVER, storage=STORAGE)
    async with running(config, tmp_path, config_store=MemoryConfigStore()) as gateway:
        up = {"id": "up", "api_keys": [{"id": "c", "key": "key-c"}]}
        assert (await gateway.admin("POST", "config", {"llm_providers": [new, up]}))[0] == 200
        for key in "ac":
            await switch(gateway, key, "disable")
        assert (await gateway.admin("POST", "providers/new/keys/keyless/disable"))[0] == 200
        assert (await gateway.admin("DELETE", f"config/overlay{path}"))[0] == 200
        left = set((await gateway.admin("GET", "config/overlay"))[1]["disabled"])
        gone = {"": {"up/c", "new/keyless"}, "/llm_providers/new": {"new/keyless"}}.get(path, {"up/c"})
        assert left == {"up/a", "up/c", "new/keyless"} - gone


async def test_another_gateway_knows_soon(tmp_path: Path) -> None:
    store = MemoryConfigStore()
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    config = configured(UP, **SERVER, policy={"algorithm": "round_robin"})
    async with (
        running(config, folders[0], config_store=store) as one,
        running(config, folders[1], config_store=store) as two,
    ):
        await switch(one, "a", "disable")
        await until(lambda: two.live.memory.keys["key:up/a"].off)
        assert await keys_used(two) == {"b"}
