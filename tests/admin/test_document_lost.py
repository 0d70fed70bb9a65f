"""A store that forgets what was made through the admin API: nobody loses a key, nobody becomes anonymous."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway import managed
from gateway.api import Document, StoreUnavailable
from gateway.config.managed import parse
from gateway_stores.memory import MemoryConfigStore
from tests.daemon.running import ADMIN_KEY, Gateway, configured, running, until

KEY = "sk-two-canary-0123456789"
UP = {"id": "up", "type": "echo", "model": "m"}
PATCH = {"policy": {"retry": {"max_attempts": 5}}}


class Forgetful(MemoryConfigStore):
    """Its server may be restarted without its memory, and take nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False

    def forget(self) -> None:
        self._document = Document("", b"")

    async def write(self, data: bytes, expected: str) -> str:
        if self.full:
            raise StoreUnavailable("it takes nothing")
        return await super().write(data, expected)


def without_clients() -> dict[str, Any]:
    config = configured(UP, server={"admin_api_key": ADMIN_KEY})
    del config["api_keys"]
    return config


@pytest.fixture
def store() -> Forgetful:
    return Forgetful()


@pytest.fixture
async def gateway(
    tmp_path: Path, store: Forgetful, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Gateway]:
    monkeypatch.setattr(managed, "POLL", 0.02)
    async with running(without_clients(), tmp_path, config_store=store) as gateway:
        await gateway.admin("POST", "clients", {"id": "two", "key": KEY})
        await gateway.admin("POST", "config", PATCH)
        yield gateway


async def test_it_is_written_again_and_outlives_a_restart(
    gateway: Gateway, store: Forgetful, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = (await store.read()).data
    store.forget()
    await until(lambda: store._document.data != b"")
    assert (await store.read()).data == before
    assert [line.levelname for line in caplog.records if "had lost" in line.message] == ["ERROR"]
    folder = tmp_path / "next"
    folder.mkdir()
    async with running(without_clients(), folder, config_store=store) as again:
        assert (await again.of(KEY).ask())[0] == 200
        again.headers.clear()
        assert (await again.ask())[0] == 401


async def test_until_it_can_be_written_what_was_read_last_stays(
    gateway: Gateway, store: Forgetful, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "gateway.managed")
    store.full = True
    store.forget()
    await until(lambda: gateway.live.managed.unwritten is not None)
    assert (await gateway.admin("POST", "reload"))[0] == 200
    assert (await gateway.of(KEY).ask())[0] == 200
    assert (await gateway.admin("GET", "health"))[1]["status"] == "degraded"
    store.full = False
    await until(lambda: store._document.data != b"")
    assert (await gateway.admin("GET", "health"))[1]["status"] == "ok"
    of_writing = [line for line in caplog.records if vars(line).get("operation") == "write"]
    said = [(line.levelname, line.message) for line in of_writing]
    assert said == [("ERROR", "storage.config fails"), ("INFO", "storage.config works again")]


async def test_a_change_is_made_to_what_was_read_last(gateway: Gateway, store: Forgetful) -> None:
    store.forget()
    assert (await gateway.admin("POST", "clients", {"id": "three"}))[0] == 201
    assert set(parse((await store.read()).data).clients) == {"two", "three"}
    assert (await gateway.of(KEY).ask())[0] == 200


async def test_settings_that_are_taken_back_stay_so(gateway: Gateway, store: Forgetful) -> None:
    assert (await gateway.admin("DELETE", "config/overlay"))[0] == 200
    assert (await gateway.admin("DELETE", "clients/two"))[0] == 200
    store.forget()
    await until(lambda: store._document.data != b"")
    left = parse((await store.read()).data)
    assert (left.overlay, left.clients, left.clients_existed) == ({}, {}, True)


async def test_a_damaged_one_that_is_removed_is_gone_but_not_that_there_were_clients(
    gateway: Gateway, store: Forgetful
) -> None:
    await store.write(b"{}", (await store.read()).version)
    await until(lambda: gateway.live.managed.trouble is not None)
    store.forget()
    await until(lambda: store._document.data != b"")
    left = parse((await store.read()).data)
    assert (left.overlay, left.clients, left.clients_existed) == ({}, {}, True)
    gateway.headers.clear()
    assert (await gateway.ask())[0] == 401
