"""Providers and keys: how they stand, and disabling, enabling, resetting and trying them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.admin import trial
from gateway.admin.keystate import standing, together
from gateway.api import Kind, Outcome
from gateway_providers.echo import Echo
from gateway_stores.memory import MemoryConfigStore
from tests.admin.calling import ECHO, PROVIDER_KEYS, administered, call
from tests.daemon.running import Gateway, openai, running
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.media import FakeMedia
from tests.fakes.openai import FakeOpenAI
from tests.fakes.upstream import Fault

LIMITS = {"req_per_min": 10, "tokens_per_min": 1000, "max_parallel": 3}


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(administered({**ECHO, "limits": LIMITS}), tmp_path) as gateway:
        yield gateway


async def keys(gateway: Gateway) -> dict[str, Any]:
    """The keys of the provider ``up`` by id."""
    status, body = await call(gateway, "GET /providers/up")
    assert status == 200
    return {key["id"]: key for key in body["keys"]}


async def test_a_provider_shows_what_its_keys_do(gateway: Gateway) -> None:
    for _ in range(4):
        assert (await gateway.ask())[0] == 200
    await gateway.records(4)
    _, listed = await call(gateway, "GET /providers")
    assert [provider["id"] for provider in listed["providers"]] == ["up"]
    found = await keys(gateway)
    assert set(found) == {"first", "second"}
    assert sum(key["last_24h"]["queries"] for key in found.values()) == 4
    assert sum(key["windows"]["requests"]["used"] for key in found.values()) == 4
    one = found["first"]
    assert (one["state"], one["switched_off"], one["cooled_until"]) == ("active", False, None)
    assert one["limits"]["requests"] == 10
    assert one["windows"]["parallel"] == {"limit": 3, "used": 0, "reset_seconds": 0.0}
    assert one["models"]["m"]["circuit"] == "closed"
    assert one["last_24h"]["cost_nano_usd"] > 0


async def test_what_is_not_there(gateway: Gateway) -> None:
    for route in (
        "GET /providers/none",
        "POST /providers/none/test",
        "POST /providers/none/keys/first/reset",
    ):
        assert (await call(gateway, route))[0] == 404
    status, body = await call(gateway, "POST /providers/up/keys/none/disable")
    assert status == 404
    assert body["details"] == {"keys": ["first", "second"]}


async def test_one_key_alone_can_be_tried(gateway: Gateway) -> None:
    status, body = await call(gateway, "POST /providers/up/test", {"key": "second"})
    assert status == 200
    assert [(one["key"], one["ok"]) for one in body["results"]] == [("second", True)]
    assert (await call(gateway, "POST /providers/up/test", {"key": "third"}))[0] == 404


async def test_a_disabled_key_is_used_no_longer_until_it_is_enabled(gateway: Gateway) -> None:
    for key in ("first", "second"):
        status, body = await call(gateway, f"POST /providers/up/keys/{key}/disable")
        assert (status, body["key"]["state"], body["key"]["switched_off"]) == (200, "disabled", True)
        assert (await gateway.ask())[0] == (200 if key == "first" else 503)
    assert (await call(gateway, "POST /providers/up/keys/second/reset"))[1]["key"]["state"] == "disabled"
    assert (await call(gateway, "POST /providers/up/keys/first/enable"))[1]["key"]["state"] == "active"
    for _ in range(3):
        status, _, headers = await gateway.ask()
        assert (status, headers["x-coo-key"]) == (200, "first")


async def test_a_disabled_key_stays_so_over_reload_and_restart(tmp_path: Path) -> None:
    store = MemoryConfigStore()
    async with running(administered(), tmp_path, config_store=store) as gateway:
        assert (await call(gateway, "POST /providers/up/keys/first/disable"))[0] == 200
        gateway.write(administered(policy={"algorithm": "round_robin"}))
        assert (await gateway.post_reload())[0] == 200
        assert (await keys(gateway))["first"]["switched_off"]
    async with running(administered(), tmp_path, config_store=store) as gateway:
        assert (await keys(gateway))["first"]["switched_off"]
        assert (await gateway.ask())[2]["x-coo-key"] == "second"


async def test_reset_forgets_what_the_upstream_said_but_not_the_windows(gateway: Gateway) -> None:
    memory, now = gateway.live.memory, time.monotonic()
    assert (await gateway.ask())[0] == 200
    key = memory.keys["key:up/first"]
    key.last_error, key.last_error_at = "Rejected.", 1_700_000_000.0
    memory.cool(key, key.penalty.on_failure(Outcome(Kind.KEY, 401, "Rejected."), now), now)
    before = (await keys(gateway))["first"]
    assert (before["state"], before["last_error"]) == ("disabled", "Rejected.")
    assert before["last_error_at"] == 1_700_000_000.0
    assert 50 < before["cooled_seconds"] <= 60
    assert abs(before["cooled_until"] - time.time() - before["cooled_seconds"]) < 5
    status, body = await call(gateway, "POST /providers/up/keys/first/reset")
    assert status == 200
    assert (body["key"]["state"], body["key"]["last_error"]) == ("active", None)
    assert body["key"]["last_error_at"] is None
    assert body["key"]["windows"]["requests"]["used"] == before["windows"]["requests"]["used"]


async def test_trying_each_key_shows_which_works_and_why_not(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    bad = "sk-bad-canary-key-0123456789"
    provider = openai(
        fake_openai.url, api_keys=[{"id": "good", "key": "good-key"}, {"id": "bad", "key": bad}]
    )
    async with running(administered(provider), tmp_path) as gateway:
        status, body = await call(gateway, "POST /providers/up/test")
        assert status == 200
        good, rejected = body["results"]
        assert (good["key"], good["ok"], good["status"], good["error"]) == ("good", True, 200, None)
        assert (rejected["key"], rejected["ok"], rejected["status"]) == ("bad", False, 401)
        assert rejected["error"]
        found = await keys(gateway)
        assert {key["state"] for key in found.values()} == {"active"}  # nothing is learnt from it


@pytest.mark.parametrize(
    ("endpoints", "ok", "said"),
    [(["rerank"], True, None), (["speech", "images"], False, "This provider cannot be tried")],
)
async def test_trying_what_does_not_chat(
    tmp_path: Path, endpoints: list[str], ok: bool, said: str | None
) -> None:
    async with FakeMedia() as fake:
        provider = openai(fake.url, type="custom", endpoints=endpoints, model="reranker")
        async with running(administered(provider), tmp_path) as gateway:
            _, body = await call(gateway, "POST /providers/up/test")
    (result,) = body["results"]
    assert result["ok"] is ok
    assert (result["error"] or "").startswith(said or "") and (said is None) == (result["error"] is None)


async def test_a_key_that_does_not_answer_has_failed_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "DEADLINE", 0.1)
    slow = {**ECHO, "token_ms": 60_000}
    async with running(administered(slow), tmp_path) as gateway:
        status, body = await call(gateway, "POST /providers/up/test", {"model": "other"})
        assert status == 200
        assert body["model"] == "other"
        assert [one["ok"] for one in body["results"]] == [False, False]
        assert all("in time" in one["error"] for one in body["results"])
        assert all(key["in_flight"] == 0 for key in (await keys(gateway)).values())


async def test_a_trial_that_meets_a_plugins_bug_keeps_no_slot(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Echo, "reader")
    assert (await call(gateway, "POST /providers/up/test"))[0] == 500
    assert all(key["in_flight"] == 0 for key in (await keys(gateway)).values())


@pytest.mark.parametrize("body", [{"model": ""}, {"model": 7}, {"url": "http://evil.example"}])
async def test_a_trial_that_is_none(gateway: Gateway, body: object) -> None:
    assert (await call(gateway, "POST /providers/up/test", body))[0] == 400


async def test_several_processes_are_shown_as_one(gateway: Gateway) -> None:
    one, other = await standing(gateway.live), await standing(gateway.live)
    key = other["key:up/first"]
    key.update(state="cooling", cooled_seconds=9.0, in_flight=2, error_rate=0.5)
    key.update(last_error="Overloaded.", last_error_at=1_700_000_000.0)
    one["key:up/first"]["in_flight"] = 1
    merged = together([one, other])["key:up/first"]
    assert (merged["state"], merged["cooled_seconds"], merged["in_flight"]) == ("cooling", 9.0, 3)
    assert (merged["error_rate"], merged["last_error"]) == (0.5, "Overloaded.")
    assert merged["last_error_at"] == 1_700_000_000.0
    assert merged == together([other, one])["key:up/first"]
    assert together([one])["key:up/second"]["state"] == "active"


async def test_what_the_upstream_says_is_left_is_shown(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    provider = openai(fake_openai.url, api_keys=[{"id": "first", "key": "good-key"}])
    async with running(administered(provider), tmp_path) as gateway:
        assert (await keys(gateway))["first"]["upstream_headroom"] is None
        assert (await gateway.ask(model="gpt-4o"))[0] == 200
        said = (await keys(gateway))["first"]["upstream_headroom"]
        assert said["model"] == "gpt-4o"
        assert set(said["windows"]) == {"requests"}
        requests = said["windows"]["requests"]
        assert (requests["limit"], requests["remaining"]) == (10000, 9999)
        assert 0 <= requests["reset_seconds"] <= 0.006
        refusal = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}
        fake_openai.script.append(Fault(429, headers=refusal))
        await gateway.ask(model="gpt-4o")
        tokens = (await keys(gateway))["first"]["upstream_headroom"]["windows"]["tokens"]
        assert (tokens["limit"], tokens["remaining"]) == (None, 0)
        assert 300 < tokens["reset_seconds"] <= 360


async def test_a_claude_key_shows_it_by_kind_as_well(fake_anthropic: FakeAnthropic, tmp_path: Path) -> None:
    provider = {
        "id": "up",
        "type": "claude",
        "base_url": fake_anthropic.url,
        "api_keys": [{"id": "first", "key": "good-key"}],
        "model": fake_anthropic.models[0],
    }
    async with running(administered(provider), tmp_path) as gateway:
        assert (await call(gateway, "POST /providers/up/test"))[1]["results"][0]["ok"]
        said = (await keys(gateway))["first"]["upstream_headroom"]
        assert said["model"] == fake_anthropic.models[0]
        window = said["windows"]["requests"]
        assert (window["limit"], window["remaining"]) == (4000, 3999)
        assert window["reset_seconds"] >= 0


async def test_of_several_processes_the_one_that_heard_last_is_shown(gateway: Gateway) -> None:
    one, other, silent = [await standing(gateway.live) for _ in range(3)]
    for part, age in ((one, 9.0), (other, 2.0)):
        part["key:up/first"]["upstream_headroom"] = {"model": "m", "seconds_ago": age, "windows": {}}
    for parts in ([one, other, silent], [silent, other, one]):
        assert together(parts)["key:up/first"]["upstream_headroom"]["seconds_ago"] == 2.0
        assert together(parts)["key:up/second"]["upstream_headroom"] is None


async def test_keys_are_never_shown(gateway: Gateway) -> None:
    for route in ("GET /providers", "GET /providers/up", "POST /providers/up/test", "GET /config"):
        _, body = await call(gateway, route)
        for key in PROVIDER_KEYS:
            assert key not in str(body)
