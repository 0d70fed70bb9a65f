"""Hot reload: by the file, by SIGHUP, by the admin API; what it keeps, and what it refuses."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config import watch
from tests.daemon.running import ADMIN_KEY, KEY, Gateway, configured, running, text_of, until

ECHO = {"id": "up", "type": "echo", "model": "m"}


def with_alias(name: str, **sections: Any) -> dict[str, Any]:
    """A configuration that can be told from others by a model it lists."""
    return configured(
        ECHO, **{"server": {"admin_api_key": ADMIN_KEY}, "model_aliases": {name: "up:m"}, **sections}
    )


def lists(gateway: Gateway, name: str) -> Callable[[], bool]:
    return lambda: name in gateway.live.current.catalog.names()


async def reloads(gateway: Gateway) -> dict[str, int]:
    """How many reloads there were, by their result."""
    samples = await gateway.samples()
    results = samples.values("config_reloads_total", "result")
    counted = {result: int(samples.sum("config_reloads_total", result=result)) for result in results}
    return {result: count for result, count in counted.items() if count}


@pytest.fixture
def quick_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_SETTLE", 0.05)
    monkeypatch.setattr(watch, "_POLL", 0.1)


def in_place(gateway: Gateway, text: str) -> None:
    gateway.path.write_text(text)


def renamed_over(gateway: Gateway, text: str) -> None:
    new = gateway.path.with_suffix(".other")
    new.write_text(text)
    new.replace(gateway.path)


def in_two_halves(gateway: Gateway, text: str) -> None:
    with gateway.path.open("w") as file:
        file.write(text[: len(text) // 2])
        file.flush()
        file.write(text[len(text) // 2 :])


def deleted_first(gateway: Gateway, text: str) -> None:
    gateway.path.unlink()
    gateway.path.write_text(text)


@pytest.mark.usefixtures("quick_watch")
@pytest.mark.parametrize("change", [in_place, renamed_over, in_two_halves, deleted_first])
async def test_a_changed_file_takes_effect_by_itself(
    tmp_path: Path, change: Callable[[Gateway, str], None]
) -> None:
    async with running(with_alias("one"), tmp_path) as gateway:
        text = yaml.safe_dump({**gateway.config, "model_aliases": {"two": "up:m"}})
        change(gateway, text)
        await until(lists(gateway, "two"))
        assert (await gateway.ask(model="two"))[0] == 200
        assert (await gateway.ask(model="one"))[0] == 404
        assert "invalid" not in await reloads(gateway)


@pytest.mark.usefixtures("quick_watch")
async def test_a_mounted_volume_that_is_switched_twice(tmp_path: Path) -> None:
    async with running(with_alias("v0"), tmp_path) as gateway:
        for version in ("v1", "v2", "v3"):
            (tmp_path / version).mkdir()
            config = {**gateway.config, "model_aliases": {version: "up:m"}}
            (tmp_path / version / "coo-llm.yaml").write_text(yaml.safe_dump(config))
            (tmp_path / "..tmp").symlink_to(version)
            (tmp_path / "..tmp").replace(tmp_path / "..data")
            if not gateway.path.is_symlink():
                (tmp_path / "link").symlink_to("..data/coo-llm.yaml")
                (tmp_path / "link").replace(gateway.path)
            await until(lists(gateway, version))


@pytest.mark.usefixtures("quick_watch")
@pytest.mark.parametrize(
    "broken",
    [
        *("", "llm_providers: [", "llm_providers: []\n", "server: {lisen: x}\n", "\0"),
        "llm_providers: [{type: echo}]\nstorage: {runtime: {type: memory, bogus: 1}}\n",
    ],
)
async def test_a_broken_file_changes_nothing(tmp_path: Path, broken: str) -> None:
    async with running(with_alias("one"), tmp_path) as gateway:
        before = gateway.live.current
        good = gateway.path.read_text()
        gateway.path.write_text(broken)
        await until(lambda: bool(gateway.live.reload_errors))
        assert (await gateway.samples()).sum("config_invalid") == 1
        assert gateway.live.current is before
        assert (await gateway.ask(model="one"))[0] == 200
        gateway.path.write_text(good)
        await until(lambda: not gateway.live.reload_errors)
        assert (await gateway.samples()).sum("config_invalid") == 0
        assert gateway.live.current is before
        assert await reloads(gateway) == {"invalid": 1, "unchanged": 1}


@pytest.mark.usefixtures("quick_watch")
async def test_a_file_that_is_gone_or_only_touched_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_GONE_AFTER", 0.3)
    async with running(with_alias("one"), tmp_path) as gateway:
        before = gateway.live.current
        good = gateway.path.read_text()
        os.utime(gateway.path, (0, 0))
        gateway.path.unlink()
        assert (await gateway.ask(model="one"))[0] == 200
        await until(lambda: bool(gateway.live.reload_errors))
        assert (await gateway.samples()).sum("config_invalid") == 1
        status, body = await gateway.post_reload()
        assert (status, len(body["details"])) == (422, 1)
        assert "No such file" in body["details"][0]["message"]
        gateway.path.write_text(good)
        await until(lambda: not gateway.live.reload_errors)
        assert gateway.live.current is before


async def test_an_edit_between_reading_and_watching_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = watch.Watcher.start

    def edited_just_before(watcher: watch.Watcher) -> None:
        path = tmp_path / "coo-llm.yaml"
        config = yaml.safe_load(path.read_text())
        path.write_text(yaml.safe_dump({**config, "model_aliases": {"two": "up:m"}}))
        start(watcher)

    monkeypatch.setattr(watch, "_SETTLE", 0.01)
    monkeypatch.setattr(watch, "_POLL", 60.0)
    monkeypatch.setattr(watch.Watcher, "start", edited_just_before)
    async with running(with_alias("one"), tmp_path) as gateway:
        await until(lists(gateway, "two"))


async def test_sighup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch.Watcher, "start", lambda watcher: None)
    monkeypatch.setattr(watch.Watcher, "stop", lambda watcher: None)
    async with running(with_alias("one"), tmp_path) as gateway:
        gateway.write(with_alias("two"))
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lists(gateway, "two"))
        gateway.path.write_text("nonsense")
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: bool(gateway.live.reload_errors))
        assert (await gateway.ask(model="two"))[0] == 200


async def test_a_storm_of_signals_is_few_reloads_and_ends_with_the_last(tmp_path: Path) -> None:
    async with running(with_alias("start"), tmp_path) as gateway:
        for i in range(100):
            gateway.write(with_alias(f"n{i}"))
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0)
        await until(lists(gateway, "n99"))
        assert sum((await reloads(gateway)).values()) < 100


async def test_the_admin_api_reports_every_error_with_its_path(tmp_path: Path) -> None:
    async with running(with_alias("one"), tmp_path) as gateway:
        before = gateway.live.current.version
        gateway.write(
            {
                "llm_providers": [
                    {"id": "up", "type": "echo", "model": "m", "limits": {"req_per_min": 1}},
                    {"id": "slow", "type": "echo", "first_token_ms": "soon", "token": 5},
                ],
                "api_keys": [{"id": "one", "key": KEY}],
            }
        )
        status, body = await gateway.post_reload()
        assert (status, body["error"]) == (422, "configuration invalid")
        assert sorted(error["path"] for error in body["details"]) == [
            "llm_providers.1.first_token_ms",
            "llm_providers.1.token",
        ]
        assert gateway.live.current.version == before
        [service] = gateway.live.current.catalog.services.values()
        assert service.keys[0].state.meter.limits.requests == 0  # nor any limit of the refused one
        gateway.write(with_alias("two"))
        status, body = await gateway.post_reload()
        assert (status, body["reloaded"], body["restart_required"]) == (200, True, [])
        assert body["config_version"] == gateway.live.current.version != before
        assert (await gateway.post_reload())[1]["reloaded"] is False


async def test_what_needs_a_restart_is_named_and_waits(tmp_path: Path) -> None:
    async with running(with_alias("one"), tmp_path) as gateway:
        listen = gateway.config["server"]["listen"]
        new = with_alias("two", server={"listen": ":1", "workers": 2, "admin_listen": "127.0.0.1:2"})
        gateway.write({**new, "storage": {"runtime": {"type": "file"}}, "logging": {"level": "debug"}})
        waiting = ["server.listen", "server.admin_listen", "server.workers", "storage.runtime"]
        for reloaded in (True, False):
            _, body = await gateway.post_reload()
            assert body["reloaded"] is reloaded
            assert set(waiting) <= set(body["restart_required"])
        effective = gateway.live.current.config
        assert (effective.server.listen, effective.server.admin_listen) == (listen, None)
        assert effective.logging.level == "debug"
        gateway.write(with_alias("three"))
        assert (await gateway.post_reload())[1]["restart_required"] == []


async def test_windows_estimates_and_circuits_outlive_a_reload(tmp_path: Path) -> None:
    limited = {**ECHO, "limits": {"req_per_min": 60}, "api_keys": ["first-key"]}
    config = {**with_alias("one"), "llm_providers": [limited]}
    async with running(config, tmp_path) as gateway:
        for _ in range(59):
            assert (await gateway.ask())[0] == 200
        [key] = next(iter(gateway.live.current.catalog.services.values())).keys
        model = key.state.models["m"]
        latency = model.health.latency
        others = [{**limited, "api_keys": ["new-key", "first-key"], "headers": {"x": "y"}}]
        gateway.write({**with_alias("two"), "llm_providers": [{"id": "b", "type": "echo"}, *others]})
        assert (await gateway.post_reload())[1]["reloaded"] is True
        [_, same] = gateway.live.current.catalog.services["up"].keys
        assert (same.id, same.state) == (key.id, key.state)
        assert same.state.models["m"] is model
        assert model.health.latency == latency > 0
        assert same.state.meter.request_share == 59 / 60
        gateway.write(config)
        assert (await gateway.post_reload())[1]["reloaded"] is True
        assert [(await gateway.ask())[0] for _ in range(2)] == [200, 429]


async def test_a_client_that_is_removed_ends_what_it_began(tmp_path: Path) -> None:
    slow = {**ECHO, "token_ms": 30, "reply": "one two three four five six"}
    config = {**with_alias("one"), "llm_providers": [slow]}
    async with running(config, tmp_path) as gateway, gateway.chat(stream=True) as response:
        await response.content.readline()
        other = {**config, "api_keys": [{"id": "other", "key": "sk-other"}]}
        gateway.write(other)
        assert (await gateway.post_reload())[0] == 200
        assert (await gateway.ask())[0] == 401
        assert b"[DONE]" in await response.read()
        # with the last client gone nobody is let in as anonymous
        gateway.write({name: section for name, section in config.items() if name != "api_keys"})
        assert (await gateway.post_reload())[0] == 200
        assert (await gateway.ask())[0] == 401
        gateway.headers = {}
        assert (await gateway.ask())[0] == 401


async def test_running_streams_keep_their_provider(tmp_path: Path) -> None:
    slow = {**ECHO, "token_ms": 20, "reply": "one two three four"}
    config = {**with_alias("one"), "llm_providers": [slow]}
    async with running(config, tmp_path) as gateway:
        version = gateway.live.current.version
        streams = [asyncio.create_task(gateway.stream()) for _ in range(20)]
        await until(lambda: gateway.live.in_flight == 20)
        gateway.write({**with_alias("two"), "llm_providers": [{"id": "new", "type": "echo", "model": "n"}]})
        assert (await gateway.post_reload())[1]["reloaded"] is True
        for status, events, headers in await asyncio.gather(*streams):
            assert (status, text_of(events), events[-1]) == (200, "one two three four", "[DONE]")
            assert headers["x-coo-provider"] == "up"
        assert {record.config_version for record in await gateway.records(20)} == {version}
