"""Clients through the admin API: made, shown, changed, given another key, removed; in force at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway import managed
from gateway.admin import clients, pace
from gateway.api import StoreUnavailable
from gateway.config.managed import ClientKey, Managed, ManagedClient, serialise
from gateway.reload import Reloaded
from gateway.runtime import Live
from gateway_stores.memory import MemoryConfigStore
from tests.daemon.running import ADMIN_KEY, Clock, Gateway, configured, running, until

UP = {"id": "up", "type": "echo", "model": "m"}
SERVER = {"server": {"admin_api_key": ADMIN_KEY}}
KEY = "sk-two-canary-0123456789"


@pytest.fixture
def store() -> MemoryConfigStore:
    return MemoryConfigStore()


@pytest.fixture
async def gateway(tmp_path: Path, store: MemoryConfigStore) -> AsyncIterator[Gateway]:
    async with running(configured(UP, **SERVER), tmp_path, config_store=store) as gateway:
        yield gateway


async def status_of(gateway: Gateway, key: str) -> int:
    status: int = (await gateway.of(key).ask())[0]
    return status


async def test_a_client_is_made_and_its_key_shown_once(gateway: Gateway, store: MemoryConfigStore) -> None:
    status, made = await gateway.admin("POST", "clients", {"id": "two", "description": "the second"})
    assert status == 201
    key = made["key"]
    assert key.startswith("sk-coo-")
    assert len(key) >= len("sk-coo-") + 22  # 128 bits in base64
    assert await status_of(gateway, key) == 200
    _, shown = await gateway.admin("GET", "clients/two")
    assert key not in str(shown)
    assert shown["keys"] == [{"id": f"c-{sha256(key.encode()).hexdigest()[:8]}", "valid_until": None}]
    assert (shown["source"], shown["description"], shown["expired"]) == ("api", "the second", False)
    assert key.encode() not in (await store.read()).data
    _, config = await gateway.admin("GET", "config")
    assert [client["id"] for client in config["api_keys"]] == ["one", "two"]
    assert key not in str(config)


async def test_a_change_that_is_in_force_before_the_file_was_looked_at_has_been_made(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a worker whose supervisor stands still: it follows the store by itself."""
    reloader = gateway.daemon._reloader
    assert reloader is not None
    reload = reloader.reload

    async def outrun(why: str) -> Reloaded:
        await reload("storage.config")
        return Reloaded(unread=True)

    monkeypatch.setattr(reloader, "reload", outrun)
    assert (await gateway.admin("POST", "clients", {"id": "two", "key": KEY}))[0] == 201
    assert await status_of(gateway, KEY) == 200
    status, body = await gateway.admin("POST", "reload")
    assert (status, "does not answer" in body["error"]) == (503, True)


async def test_where_only_the_answer_of_the_store_is_lost_the_key_is_shown(tmp_path: Path) -> None:
    class Mumbling(MemoryConfigStore):
        async def write(self, data: bytes, expected: str) -> str:
            await super().write(data, expected)
            raise StoreUnavailable("its answer did not come")

    async with running(configured(UP, **SERVER), tmp_path, config_store=Mumbling()) as gateway:
        status, made = await gateway.admin("POST", "clients", {"id": "two"})
        assert status == 201
        assert await status_of(gateway, made["key"]) == 200


async def test_no_two_generated_keys_are_the_same(gateway: Gateway) -> None:
    made = [(await gateway.admin("POST", "clients", {}))[1] for _ in range(3)]
    assert len({client["key"] for client in made}) == len({client["id"] for client in made}) == 3


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ({"id": "a b"}, 400, "id"),
        ({"id": "list"}, 400, "id"),
        ({"id": "anonymous"}, 400, "id"),
        ({"key": "a b"}, 400, "key"),
        ({"key": 5}, 400, "key"),
        ({"key": 0}, 400, "key"),
        ({"key": ADMIN_KEY}, 400, "key"),
        ({"limits": {"req_per_min": -1}}, 400, "limits.req_per_min"),
        ({"limits": {"req_per_mim": 1}}, 400, "limits.req_per_mim"),
        ({"budget": {"usd": "5"}}, 400, "budget.usd"),
        ({"expires_at": "soon"}, 400, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-12:00"}, 400, "expires_at"),
        ({"expires_at": "0001-01-01T00:00:00+12:00"}, 400, "expires_at"),
        ({"allowed_providers": ["upp"]}, 400, "allowed_providers.0"),
        ({"nothing": 1}, 400, "nothing"),
        ({"id": "one"}, 409, None),
        ({"id": "two", "key": "sk-client-1"}, 409, None),
    ],
)
async def test_what_cannot_be_is_refused(
    gateway: Gateway, body: dict[str, Any], status: int, path: str | None
) -> None:
    answered, error = await gateway.admin("POST", "clients", body)
    assert answered == status
    if path is not None:
        assert [one["path"] for one in error["details"]] == [path]
    assert [c["id"] for c in (await gateway.admin("GET", "clients/list"))[1]["clients"]] == ["one"]


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/rotate")])
async def test_a_client_that_is_not_there(gateway: Gateway, method: str, path: str) -> None:
    assert (await gateway.admin(method, f"clients/nobody{path}", {}))[0] == 404


async def test_a_change_keeps_what_was_used(tmp_path: Path, store: MemoryConfigStore) -> None:
    async with running(configured(UP, **SERVER), tmp_path, config_store=store, clock=Clock()) as gateway:
        await gateway.admin("POST", "clients", {"id": "two", "key": KEY, "limits": {"req_per_min": 3}})
        assert [await status_of(gateway, KEY) for _ in range(2)] == [200, 200]
        assert (await gateway.admin("PUT", "clients/two", {"limits": {"req_per_min": 2}}))[0] == 200
        assert await status_of(gateway, KEY) == 429
        window = (await gateway.admin("GET", "clients/two"))[1]["windows"]["requests"]
        assert (window["limit"], window["used"]) == (2, 2)
        await gateway.admin("PUT", "clients/two", {"limits": {"req_per_min": 3}})
        assert [await status_of(gateway, KEY) for _ in range(2)] == [200, 429]
        await gateway.admin("PUT", "clients/two", {"limits": None})
        assert await status_of(gateway, KEY) == 200


async def test_a_change_leaves_what_it_does_not_name(gateway: Gateway) -> None:
    made = {"id": "two", "key": KEY, "description": "x", "limits": {"req_per_min": 3, "max_parallel": 2}}
    await gateway.admin("POST", "clients", made)
    await gateway.admin("PUT", "clients/two", {"limits": {"req_per_min": 4}, "allowed_models": ["n"]})
    _, shown = await gateway.admin("GET", "clients/two")
    assert (shown["limits"]["req_per_min"], shown["limits"]["max_parallel"]) == (4, 2)
    assert (shown["description"], shown["allowed_models"]) == ("x", ["n"])
    assert await status_of(gateway, KEY) == 403
    assert (await gateway.admin("PUT", "clients/two", {"id": "three"}))[0] == 400
    assert (await gateway.admin("PUT", "clients/two", {"limits": {"x": 1}}))[0] == 400
    assert (await gateway.admin("PUT", "clients/two", {"key": "sk-client-1"}))[0] == 409


async def test_a_client_of_a_provider_that_is_gone_is_changed_in_all_else(
    tmp_path: Path, store: MemoryConfigStore
) -> None:
    other = {**UP, "id": "other"}
    async with running(configured(UP, other, **SERVER), tmp_path, config_store=store) as gateway:
        body = {"id": "two", "key": KEY, "allowed_providers": ["up", "other"]}
        assert (await gateway.admin("POST", "clients", body))[0] == 201
        gateway.write(configured(UP, **SERVER))
        assert (await gateway.post_reload())[0] == 200
        shown = (await gateway.admin("GET", "clients/two"))[1]
        limited = {**shown, "limits": {"req_per_min": 1}}
        assert (await gateway.admin("PUT", "clients/two", limited))[0] == 200
        patch = {"api_keys": [{"id": "two", "description": "the second"}]}
        assert (await gateway.admin("POST", "config", patch))[0] == 200
        status, answer = await gateway.admin("PUT", "clients/two", {"allowed_providers": ["other"]})
        assert (status, answer["details"][0]["path"]) == (400, "allowed_providers.0")
        assert await status_of(gateway, KEY) == 200
        expired = {"expires_at": "2020-01-01T00:00:00Z"}
        assert (await gateway.admin("PUT", "clients/two", expired))[0] == 200
        assert await status_of(gateway, KEY) == 401


async def test_a_client_can_be_read_edited_and_sent_back(tmp_path: Path, store: MemoryConfigStore) -> None:
    clients = [{"id": "one", "key": "sk-client-1", "description": "see http://a:b@x/"}]
    async with running(configured(UP, **SERVER, api_keys=clients), tmp_path, config_store=store) as gateway:
        await gateway.admin("POST", "clients", {"id": "two", "key": KEY, "expires_at": "2099-01-01"})
        for id, key, changes in (("one", "sk-client-1", ["limits.req_per_min"]), ("two", KEY, [])):
            _, shown = await gateway.admin("GET", f"clients/{id}")
            status, same = await gateway.admin("PUT", f"clients/{id}", {**shown, "key": "…"})
            assert status == 200
            assert same == {name: shown[name] for name in same}  # nor is it changed on top of the file
            shown["limits"]["req_per_min"] = 51
            status, edited = await gateway.admin("PUT", f"clients/{id}", shown)
            assert (status, edited["limits"]["req_per_min"], edited["changes"]) == (200, 51, changes)
            assert await status_of(gateway, key) == 200
            status, error = await gateway.admin("PUT", f"clients/{id}", {**edited, "descripton": {}})
            assert (status, [one["path"] for one in error["details"]]) == (400, ["descripton"])
            assert 'did you mean "description"' in error["details"][0]["message"]
        settings = gateway.live.managed.clients["one"].settings
        assert settings.description == "see http://a:b@x/"


async def test_a_client_that_expires_is_refused(gateway: Gateway) -> None:
    await gateway.admin("POST", "clients", {"id": "two", "key": KEY})
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    await gateway.admin("PUT", "clients/two", {"expires_at": past})
    assert await status_of(gateway, KEY) == 401
    assert (await gateway.admin("GET", "clients/two"))[1]["expired"]


async def test_a_rotated_key_is_good_for_its_grace(gateway: Gateway) -> None:
    await gateway.admin("POST", "clients", {"id": "two", "key": KEY})
    status, rotated = await gateway.admin("POST", "clients/two/rotate", {"grace": "1h"})
    assert status == 200
    assert [await status_of(gateway, key) for key in (KEY, rotated["key"])] == [200, 200]
    assert len((await gateway.admin("GET", "clients/two"))[1]["keys"]) == 2
    clients, now = gateway.live.current.clients, time.time()
    assert clients.find(KEY, now + 3599) is not None
    assert clients.find(KEY, now + 3601) is None
    assert clients.find(rotated["key"], now + 3601) is not None
    _, again = await gateway.admin("POST", "clients/two/rotate")  # at once, as after a leak
    found = [await status_of(gateway, key) for key in (KEY, rotated["key"], again["key"])]
    assert found == [401, 401, 200]


@pytest.mark.parametrize("body", [{"grace": "soon"}, {"grace": -1}, {"key": "a b"}, {"nothing": 1}])
async def test_a_rotation_that_cannot_be(gateway: Gateway, body: dict[str, Any]) -> None:
    assert (await gateway.admin("POST", "clients/one/rotate", body))[0] == 400


async def test_a_client_is_removed_and_never_taken_for_anonymous(tmp_path: Path) -> None:
    store = MemoryConfigStore()
    config = configured(UP, **SERVER)
    del config["api_keys"]
    async with running(config, tmp_path, config_store=store) as gateway:
        gateway.headers.clear()
        assert (await gateway.ask())[0] == 200
        await gateway.admin("POST", "clients", {"id": "two", "key": KEY})
        assert (await gateway.ask())[0] == 401
        assert (await gateway.admin("DELETE", "clients/two"))[0] == 200
        assert await status_of(gateway, KEY) == 401
        assert (await gateway.admin("GET", "clients/two"))[0] == 404
    async with running(config, tmp_path, config_store=store) as gateway:
        assert (await gateway.ask())[0] == 401  # also after a restart


async def test_a_key_that_the_file_gives_to_another_client_is_served_as_the_file_says(
    tmp_path: Path, store: MemoryConfigStore, capfd: pytest.CaptureFixture[str]
) -> None:
    config = configured(UP, **SERVER)
    async with running(config, tmp_path, config_store=store) as gateway:
        await gateway.admin("POST", "clients", {"id": "two", "key": KEY})
        theirs = {"id": "three", "key": KEY, "allowed_models": ["n"]}
        gateway.write({**config, "api_keys": [*config["api_keys"], theirs]})
        assert (await gateway.post_reload())[0] == 200
        assert await status_of(gateway, KEY) == 403
        assert (await gateway.admin("GET", "clients/two"))[1]["keys"] == []
        _, rotated = await gateway.admin("POST", "clients/two/rotate", {})
        assert [await status_of(gateway, key) for key in (KEY, rotated["key"])] == [403, 200]
        gateway.write(config)
        assert (await gateway.post_reload())[0] == 200
        assert [await status_of(gateway, key) for key in (KEY, rotated["key"])] == [401, 200]
    warning = "a key of the client two, set through the admin API, is that of three"
    await until(lambda: warning in capfd.readouterr().err)  # which another thread writes


async def test_a_key_of_the_file_that_another_gateway_gives_away_is_warned_of_at_once(
    tmp_path: Path,
    store: MemoryConfigStore,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(managed, "POLL", 0.02)
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    config = configured(UP, **SERVER)
    theirs = {"id": "three", "key": KEY, "allowed_models": ["n"]}
    async with (
        running({**config, "api_keys": [*config["api_keys"], theirs]}, here, config_store=store) as gateway,
        running(config, there, config_store=store) as other,
    ):
        await other.admin("POST", "clients", {"id": "two", "key": KEY})
        await until(lambda: "two" in gateway.live.managed.clients)
        assert await status_of(gateway, KEY) == 403
        await other.admin("POST", "clients", {"id": "four"})
        await until(lambda: gateway.live.current.clients.named("four") is not None)
    warned = "a key of the client two, set through the admin API, is that of three"
    assert capfd.readouterr().err.count(warned) == 1


async def test_that_the_file_had_clients_is_remembered(tmp_path: Path, store: MemoryConfigStore) -> None:
    async with running(configured(UP, **SERVER), tmp_path, config_store=store):
        await until(lambda: b'"clients_existed":true' in store._document.data)
    config = configured(UP, **SERVER)
    del config["api_keys"]
    async with running(config, tmp_path, config_store=store) as gateway:
        gateway.headers.clear()
        assert (await gateway.ask())[0] == 401


async def test_a_client_of_the_file_is_changed_on_top_of_it(
    gateway: Gateway, store: MemoryConfigStore
) -> None:
    assert (await gateway.admin("DELETE", "clients/one"))[0] == 409
    assert (await gateway.admin("PUT", "clients/one", {"allowed_models": ["n"]}))[0] == 200
    assert (await gateway.ask())[0] == 403
    _, shown = await gateway.admin("GET", "clients/one")
    assert (shown["source"], shown["changed"]) == ("file", True)
    _, rotated = await gateway.admin("POST", "clients/one/rotate", {})
    assert [await status_of(gateway, key) for key in ("sk-client-1", rotated["key"])] == [401, 403]
    assert (await gateway.admin("DELETE", "config/overlay/api_keys/one"))[0] == 200
    assert (await gateway.ask())[0] == 200


async def test_a_client_of_the_file_that_was_given_another_key_goes_with_the_file(
    tmp_path: Path, store: MemoryConfigStore
) -> None:
    config = configured(UP, **SERVER)
    two = {"id": "two", "key": KEY, "allowed_models": ["n"]}
    async with running(
        {**config, "api_keys": [*config["api_keys"], two]}, tmp_path, config_store=store
    ) as gateway:
        _, rotated = await gateway.admin("POST", "clients/two/rotate", {"grace": "1h"})
        assert [await status_of(gateway, key) for key in (KEY, rotated["key"])] == [403, 403]
        gateway.write(config)
        assert (await gateway.post_reload())[0] == 200
        assert [await status_of(gateway, key) for key in (KEY, rotated["key"])] == [401, 401]
        assert (await gateway.admin("GET", "clients/two"))[0] == 404
        status, made = await gateway.admin("POST", "clients", {"id": "two"})
        assert (status, made["source"], made["allowed_models"]) == (201, "api", ["*"])
        assert [await status_of(gateway, key) for key in (rotated["key"], made["key"])] == [401, 200]


async def test_a_client_made_here_is_not_taken_back_as_a_setting(gateway: Gateway) -> None:
    await gateway.admin("POST", "clients", {"id": "two", "key": KEY})
    assert (await gateway.admin("DELETE", "config/overlay/api_keys/two"))[0] == 409
    assert (await gateway.admin("DELETE", "config/overlay"))[0] == 200
    assert await status_of(gateway, KEY) == 200


async def test_a_client_made_here_that_came_to_the_file_later_is_taken_back_as_what_was_set_of_it(
    gateway: Gateway,
) -> None:
    await gateway.admin("POST", "clients", {"id": "two", "key": KEY})
    theirs = {"id": "two", "key": "sk-two-of-the-file"}
    gateway.write({**gateway.config, "api_keys": [*gateway.config["api_keys"], theirs]})
    assert (await gateway.post_reload())[0] == 200
    assert [await status_of(gateway, key) for key in (KEY, theirs["key"])] == [200, 401]
    assert list((await gateway.admin("GET", "config/overlay"))[1]["clients"]) == ["two"]
    assert (await gateway.admin("DELETE", "config/overlay/api_keys/two"))[0] == 200
    assert [await status_of(gateway, key) for key in (KEY, theirs["key"])] == [401, 200]
    assert (await gateway.admin("DELETE", "config/overlay/api_keys/two"))[0] == 404


async def test_usage_and_list(gateway: Gateway) -> None:
    await gateway.admin("POST", "clients", {"id": "two", "key": KEY})
    await gateway.of(KEY).ask()
    await gateway.records(1)
    _, listed = await gateway.admin("GET", "clients")
    queries = {client["id"]: client["usage"]["queries"] for client in listed["clients"]}
    assert queries == {"one": 0, "two": 1}
    assert (await gateway.admin("GET", "clients?end=1"))[1]["clients"][1]["usage"]["queries"] == 0
    _, plain = await gateway.admin("GET", "clients/list")
    assert [client["id"] for client in plain["clients"]] == ["one", "two"]
    assert all("usage" not in client for client in plain["clients"])


async def test_another_gateway_knows_a_client_soon(tmp_path: Path, store: MemoryConfigStore) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    async with (
        running(configured(UP, **SERVER), folders[0], config_store=store) as one,
        running(configured(UP, **SERVER), folders[1], config_store=store) as other,
    ):
        catalog = other.live.current.catalog
        await one.admin("POST", "clients", {"id": "two", "key": KEY})
        await until(lambda: other.live.current.clients.named("two") is not None)
        assert await status_of(other, KEY) == 200
        await other.admin("DELETE", "clients/two")
        await until(lambda: one.live.current.clients.named("two") is None)
        assert await status_of(one, KEY) == 401
        assert other.live.current.catalog is catalog  # only the clients were made anew


async def test_many_at_once_all_get_in(gateway: Gateway, store: MemoryConfigStore) -> None:
    made = await asyncio.gather(*(gateway.admin("POST", "clients", {"id": f"c{i}"}) for i in range(10)))
    assert [status for status, _ in made] == [201] * 10
    assert len(orjson.loads((await store.read()).data)["clients"]) == 10


async def test_ten_thousand_clients(tmp_path: Path, store: MemoryConfigStore) -> None:
    clients = {
        f"c{i}": ManagedClient(
            {"limits": {"req_per_min": 5}}, (ClientKey(sha256(b"sk-%d" % i).hexdigest()),), 1.0
        )
        for i in range(10_000)
    }
    await store.write(serialise(Managed(clients=clients)), "")
    async with running(configured(UP, **SERVER), tmp_path, config_store=store) as gateway:
        assert await status_of(gateway, "sk-9999") == 200
        assert (await gateway.admin("DELETE", "clients/c9999"))[0] == 200
        assert [await status_of(gateway, key) for key in ("sk-9999", "sk-9998")] == [401, 200]


async def test_some_of_the_clients_are_found_in_order_part_by_part(gateway: Gateway) -> None:
    for id, expires in (("four", "2099-01-01"), ("three", "2098-01-01"), ("Two", None)):
        await gateway.admin("POST", "clients", {"id": id, "description": "of team X", "expires_at": expires})

    async def ids(query: str) -> list[str]:
        status, found = await gateway.admin("GET", f"clients?{query}")
        assert status == 200
        return [client["id"] for client in found["clients"]]

    assert await ids("") == ["four", "one", "three", "Two"]
    assert await ids("search=TEAM&sort=expiry") == ["three", "four", "Two"]
    assert await ids("sort=newest") == ["Two", "three", "four", "one"]
    assert await ids("limit=2&after=four") == ["one", "three"]
    _, found = await gateway.admin("GET", "clients?limit=3&search=team")
    assert (found["matching"], found["next"]) == (3, None)
    _, found = await gateway.admin("GET", "clients?limit=1&search=team")
    assert (found["matching"], found["next"]) == (3, "four")
    await gateway.admin("DELETE", "clients/three")
    assert await ids("limit=2&after=three") == ["Two"], "it goes on where that one was"
    for wrong in ("sort=age", "limit=0", "limit=1001", "order=up"):
        assert (await gateway.admin("GET", f"clients?{wrong}"))[0] == 400


async def test_what_was_changed_of_a_client_of_the_file(gateway: Gateway) -> None:
    assert (await gateway.admin("GET", "clients/one"))[1]["changes"] == []
    await gateway.admin("POST", "clients/one/rotate")
    assert (await gateway.admin("GET", "clients/one"))[1]["changes"] == ["key"]
    await gateway.admin("PUT", "clients/one", {"limits": {"max_parallel": 3}})
    assert (await gateway.admin("GET", "clients/one"))[1]["changes"] == ["limits.max_parallel", "key"]


async def test_others_have_their_turn_while_all_are_listed(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    for id_ in ("two", "three", "four"):
        await gateway.admin("POST", "clients", {"id": id_})
    turns, at = 0, []

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def described(live: Live, id_: str) -> dict[str, Any]:
        at.append(turns)
        return {"id": id_}

    monkeypatch.setattr(pace, "_SLICE", 0)
    monkeypatch.setattr(clients, "_shown", described)
    working = asyncio.create_task(other())
    _, body = await gateway.admin("GET", "clients/list")
    working.cancel()
    assert len(body["clients"]) == 4
    assert len(set(at)) == 4
