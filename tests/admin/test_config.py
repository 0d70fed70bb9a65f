"""Settings through the admin API: merged, checked whole, in force at once and everywhere, taken back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.admin import config as subject
from gateway.admin.state import AdminState
from gateway.api import StoreUnavailable
from gateway_stores.memory import MemoryConfigStore
from tests.daemon.running import ADMIN, ADMIN_KEY, Gateway, configured, running, until
from tests.fakes.ports import free_port

UP = {"id": "up", "type": "echo", "model": "m"}
OPENAI = {
    "id": "openai",
    "type": "openai",
    "model": "gpt",
    "base_url": "http://127.0.0.1:9",
    "api_keys": [{"id": "first", "key": "sk-file-canary-0123456789"}],
}
SERVER = {"server": {"admin_api_key": ADMIN_KEY}}
STORAGE = {"config": {"type": "memory"}, "runtime": {"type": "memory"}, "master_key": "a master key of tests"}
NEW_KEY = "sk-api-canary-9876543210"


def keyed(*providers: Any, **sections: Any) -> dict[str, Any]:
    """A gateway with a master key."""
    return configured(*(providers or (UP, OPENAI)), **SERVER, storage=STORAGE, **sections)


@pytest.fixture
def store() -> MemoryConfigStore:
    return MemoryConfigStore()


@pytest.fixture
async def gateway(tmp_path: Path, store: MemoryConfigStore) -> AsyncIterator[Gateway]:
    async with running(keyed(), tmp_path, config_store=store) as gateway:
        yield gateway


async def test_a_change_is_in_force_at_once_and_can_be_taken_back(gateway: Gateway) -> None:
    patch = {"policy": {"retry": {"max_attempts": 7}, "algorithm": "round_robin"}}
    status, body = await gateway.admin("POST", "config", patch)
    assert (status, body["status"], body["reloaded"], body["restart_required"]) == (200, "ok", True, [])
    policy = (await gateway.admin("GET", "config"))[1]["policy"]
    assert (policy["retry"]["max_attempts"], policy["algorithm"]) == (7, "round_robin")
    assert policy["retry"]["interval"] == 1.0  # maps merge

    assert (await gateway.admin("DELETE", "config/overlay/policy/retry"))[0] == 200
    policy = (await gateway.admin("GET", "config"))[1]["policy"]
    assert (policy["retry"]["max_attempts"], policy["algorithm"]) == (3, "round_robin")

    assert (await gateway.admin("DELETE", "config/overlay"))[0] == 200
    assert (await gateway.admin("GET", "config"))[1]["policy"]["algorithm"] == "hybrid"
    assert (await gateway.admin("GET", "config/overlay"))[1]["overlay"] == {}


async def test_what_was_shown_can_be_sent_back_and_changes_nothing(gateway: Gateway) -> None:
    before = (await gateway.admin("GET", "config"))[1]
    status, body = await gateway.admin("POST", "config", before)
    assert (status, body["reloaded"]) == (200, False)
    assert (await gateway.admin("GET", "config"))[1] == before
    before["policy"]["retry"]["max_attempts"] = 4
    await gateway.admin("POST", "config", before)
    overlay = (await gateway.admin("GET", "config/overlay"))[1]["overlay"]
    assert overlay == {"policy": {"retry": {"max_attempts": 4}}}


async def test_providers_and_their_keys_merge_by_id(gateway: Gateway, store: MemoryConfigStore) -> None:
    patch = {
        "llm_providers": [
            {"id": "openai", "api_keys": [{"id": "second", "key": NEW_KEY}], "limits": {"req_per_min": 5}},
            {"id": "more", "type": "echo", "model": "n"},
        ]
    }
    assert (await gateway.admin("POST", "config", patch))[0] == 200
    shown = (await gateway.admin("GET", "config"))[1]["llm_providers"]
    assert [provider["id"] for provider in shown] == ["up", "openai", "more"]
    assert [key["id"] for key in shown[1]["api_keys"]] == ["first", "second"]
    assert shown[1]["limits"]["req_per_min"] == 5
    assert "canary" not in json.dumps(shown)
    service = gateway.live.current.catalog.services["openai"]
    assert [key.secret for key in service.keys] == ["sk-file-canary-0123456789", NEW_KEY]
    assert (await gateway.ask(model="more:n"))[0] == 200

    assert b"canary" not in (await store.read()).data  # at rest

    assert (await gateway.admin("DELETE", "config/overlay/llm_providers/openai/api_keys/second"))[0] == 200
    service = gateway.live.current.catalog.services["openai"]
    assert [key.id for key in service.keys] == ["first"]


async def test_a_masked_secret_sent_back_is_unchanged_and_another_mask_is_refused(gateway: Gateway) -> None:
    shown = (await gateway.admin("GET", "config"))[1]["llm_providers"][1]
    assert shown["api_keys"][0]["key"] == "sk-…6789"
    key = {"id": "first", "key": "sk-…6789", "limits": {"req_per_min": 9}}
    assert (await gateway.admin("POST", "config", {"llm_providers": [{"id": "openai", "api_keys": [key]}]}))[
        0
    ] == 200
    kept = gateway.live.current.config.llm_providers[1].api_keys[0]
    assert kept.key.get_secret_value() == "sk-file-canary-0123456789"
    assert kept.limits is not None and kept.limits.req_per_min == 9
    key["key"] = "sk-…0000"
    status, body = await gateway.admin(
        "POST", "config", {"llm_providers": [{"id": "openai", "api_keys": [key]}]}
    )
    assert status == 422
    assert body["details"][0]["path"] == "llm_providers.openai.api_keys.first.key"


async def test_null_removes_what_the_file_sets(tmp_path: Path, store: MemoryConfigStore) -> None:
    config = keyed(policy={"retry": {"max_attempts": 5}}, model_aliases={"smart": "up:m"})
    async with running(config, tmp_path, config_store=store) as gateway:
        patch = {"policy": {"retry": None}, "model_aliases": {"smart": None}}
        assert (await gateway.admin("POST", "config", patch))[0] == 200
        body = (await gateway.admin("GET", "config?sources=1"))[1]
        assert (body["policy"]["retry"]["max_attempts"], body["model_aliases"]) == (3, {})
        assert body["sources"]["policy.retry.max_attempts"] == "default"
        assert (await gateway.admin("DELETE", "config/overlay/model_aliases.smart"))[0] == 200
        assert (await gateway.ask(model="smart"))[0] == 200


async def test_where_each_setting_comes_from(tmp_path: Path, store: MemoryConfigStore) -> None:
    config = keyed(policy={"retry": {"max_attempts": 5}})
    async with running(config, tmp_path, config_store=store) as gateway:
        await gateway.admin("POST", "config", {"policy": {"retry": {"interval": "2s"}}})
        body = (await gateway.admin("GET", "config?sources=1"))[1]
        found = body["sources"]
        assert found["policy.retry.max_attempts"] == "file"
        assert found["policy.retry.interval"] == "overlay"
        assert found["policy.algorithm"] == "default"
        assert found["llm_providers.openai.api_keys.first.key"] == "file"
        assert found["api_keys.one.limits.req_per_min"] == "default"
        assert "sources" not in (await gateway.admin("GET", "config"))[1]


@pytest.mark.parametrize(
    ("patch", "path"),
    [
        ({"policy": {"algoritm": "hybrid"}}, "policy.algoritm"),
        ({"policy": {"algorithm": "nothing"}}, "policy.algorithm"),
        ({"policy": {"retry": {"max_attempts": "5"}}}, "policy.retry.max_attempts"),
        ({"llm_providers": [{"id": "up", "type": "echo", "nonsense": 1}]}, "llm_providers.0.nonsense"),
        ({"llm_providers": [{"name": "none"}]}, "llm_providers.0"),
        ({"llm_providers": ["up"]}, "llm_providers.0"),
        ({"llm_providers": [{"key": "sk-up"}]}, "llm_providers.0"),
        ({"llm_providers": None}, "llm_providers"),
        ({"llm_providers": "up"}, "llm_providers"),
        ({"storage": {"master_key": "x"}}, "storage"),
        ({"api_keys": None}, "api_keys"),
        (
            {"api_keys": [{"id": "one", "limits": {"req_per_minute": 1}}]},
            "api_keys.one.limits.req_per_minute",
        ),
        ({"api_keys": [{"id": "two", "key": "sk-client-1"}]}, "api_keys.two.key"),
        ({"nothing": 1}, "nothing"),
    ],
)
async def test_what_is_not_valid_is_named_and_nothing_is_kept(
    gateway: Gateway, store: MemoryConfigStore, patch: Any, path: str
) -> None:
    await until(lambda: store._document.data != b"")
    version = await store.version()
    before = gateway.live.current
    status, body = await gateway.admin("POST", "config", patch)
    assert status == 422
    assert [error["path"] for error in body["details"]] == [path]
    status, body = await gateway.admin("POST", "config/validate", patch)
    assert (status, body["valid"]) == (200, False)
    assert [error["path"] for error in body["errors"]] == [path]
    assert await store.version() == version
    assert gateway.live.current is before


async def test_validate_keeps_nothing(gateway: Gateway) -> None:
    before = gateway.live.current
    answered = await gateway.admin("POST", "config/validate", {"policy": {"algorithm": "round_robin"}})
    change = {"path": "policy.algorithm", "before": "hybrid", "after": "round_robin"}
    revision = (await gateway.admin("GET", "config/overlay"))[1]["revision"]
    body = {
        "valid": True,
        "errors": [],
        "changes": [change],
        "restart_required": [],
        "revision": revision,
    }
    assert answered == (200, body)
    assert gateway.live.current is before


async def test_validate_says_what_would_change_and_shows_no_secret(gateway: Gateway) -> None:
    patch = {
        "llm_providers": [{"id": "openai", "api_keys": [{"id": "first", "key": NEW_KEY}]}],
        "api_keys": [{"id": "one", "limits": {"req_per_min": 5}}, {"id": "new", "key": "sk-canary-of-new"}],
        "policy": {"retry": {"max_attempts": 3}},
    }
    status, body = await gateway.admin("POST", "config/validate", patch)
    assert (status, body["valid"]) == (200, True)
    assert "canary" not in json.dumps(body)
    found = {change["path"]: (change["before"], change["after"]) for change in body["changes"]}
    assert found["llm_providers.openai.api_keys.first.key"] == ("sk-…6789", "sk-…3210")
    assert found["api_keys.one.limits.req_per_min"] == (0, 5)
    assert found["api_keys.new.key"] == (None, "…")
    assert not any(path.startswith("policy") for path in found)  # it is so already


async def test_a_secret_that_changes_shows_even_where_its_mask_does_not(gateway: Gateway) -> None:
    patch = {"llm_providers": [{"id": "openai", "headers": {"x-team": "one"}}]}
    assert (await gateway.admin("POST", "config", patch))[0] == 200
    patch["llm_providers"][0]["headers"] = {"x-team": "two"}
    (change,) = (await gateway.admin("POST", "config/validate", patch))[1]["changes"]
    assert change == {"path": "llm_providers.openai.headers.x-team", "before": "…", "after": "…"}


async def changes(gateway: Gateway, client: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What validating a change of a client says."""
    body = (await gateway.admin("POST", "config/validate", {"api_keys": [client]}))[1]
    assert body["valid"], body
    return {change["path"]: (change["before"], change["after"]) for change in body["changes"]}


async def test_of_clients_only_what_changes_is_listed(tmp_path: Path) -> None:
    kept, other = "sk-canary-of-bob-0123", "sk-canary-of-bob-4567"
    clients = {"api_keys": [{"id": "bob", "key": kept}]}
    async with running(keyed(**clients), tmp_path) as gateway:
        limits = {"limits": {"req_per_min": 51}}
        assert await changes(gateway, {"id": "bob", **limits}) == {"api_keys.bob.limits.req_per_min": (0, 51)}
        assert await changes(gateway, {"id": "bob", "key": other}) == {"api_keys.bob.key": ("sk-…0123", "…")}
        assert await changes(gateway, {"id": "bob", "key": kept}) == {}
        assert (await gateway.admin("POST", "config", {"api_keys": [{"id": "bob", **limits}]}))[0] == 200
        assert (await gateway.admin("GET", "config"))[1]["api_keys"][0]["key"] == "sk-…0123"
        assert (await gateway.of(kept).ask())[0] == 200


async def test_a_client_that_was_made_here_is_compared_as_those_of_the_file_are(gateway: Gateway) -> None:
    made = {"id": "two", "key": NEW_KEY, "allowed_models": ["a", "b"]}
    assert (await gateway.admin("POST", "clients", made))[0] == 201
    assert await changes(gateway, {"id": "two", "key": f"{NEW_KEY}-other"}) == {
        "api_keys.two.key": ("…", "…")
    }
    assert await changes(gateway, {"id": "two", "key": "…"}) == {}
    change = {"id": "two", "allowed_models": ["a", "c"]}
    assert await changes(gateway, change) == {"api_keys.two.allowed_models": (["a", "b"], ["a", "c"])}
    assert (await gateway.admin("POST", "config", {"api_keys": [change]}))[0] == 200
    assert (await gateway.admin("GET", "clients/two"))[1]["allowed_models"] == ["a", "c"]


async def test_validate_says_what_would_wait_for_a_restart(gateway: Gateway) -> None:
    patch = {"server": {"listen": "127.0.0.1:1", "max_body_mb": 1}}
    body = (await gateway.admin("POST", "config/validate", patch))[1]
    assert body["restart_required"] == ["server.listen"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "config", {"policy": {"algorithm": "round_robin"}}),
        ("PUT", "config/policy", {"algorithm": "round_robin"}),
        ("DELETE", "config/overlay/policy.priority", None),
        ("DELETE", "config/overlay", None),
    ],
)
async def test_what_somebody_else_has_changed_since_is_not_overwritten(
    gateway: Gateway, method: str, path: str, body: Any
) -> None:
    await gateway.admin("POST", "config", {"policy": {"priority": "cost"}})
    seen = (await gateway.admin("GET", "config/overlay"))[1]["revision"]
    await gateway.admin("POST", "config", {"policy": {"on_exhausted": "burst"}})
    after = (await gateway.admin("GET", "config/overlay"))[1]
    url = f"{gateway.url}/admin/v1/{path}"
    for revision, status in ((seen, 412), (after["revision"], 200)):
        headers = {**ADMIN, "if-match": f'"{revision}"'}
        async with gateway.session.request(method, url, headers=headers, json=body) as response:
            assert response.status == status
        if status == 412:
            assert (await gateway.admin("GET", "config/overlay"))[1] == after


async def test_another_file_is_another_revision(gateway: Gateway) -> None:
    before = (await gateway.admin("GET", "config/overlay"))[1]["revision"]
    gateway.write({**keyed(), "policy": {"priority": "cost"}})
    await gateway.post_reload()
    assert (await gateway.admin("GET", "config/overlay"))[1]["revision"] != before


async def test_what_was_set_of_the_clients_of_the_file_is_told(gateway: Gateway) -> None:
    await gateway.admin("POST", "config", {"api_keys": [{"id": "one", "limits": {"req_per_min": 5}}]})
    await gateway.admin("POST", "clients", {"id": "two", "key": "sk-client-two"})
    body = (await gateway.admin("GET", "config/overlay"))[1]
    assert body["clients"] == {"one": {"limits": {"req_per_min": 5}}}
    await gateway.admin("POST", "clients/one/rotate", {"key": "sk-canary-of-one"})
    body = (await gateway.admin("GET", "config/overlay"))[1]
    assert body["clients"] == {"one": {"limits": {"req_per_min": 5}, "key": "…"}}


async def test_the_policy_is_replaced_as_a_whole(gateway: Gateway) -> None:
    await gateway.admin("POST", "config", {"policy": {"priority": "cost"}})
    assert (await gateway.admin("PUT", "config/policy", {"on_exhausted": "burst"}))[0] == 200
    assert (await gateway.admin("GET", "config/overlay"))[1]["overlay"] == {
        "policy": {"on_exhausted": "burst"}
    }
    assert (await gateway.admin("PUT", "config/policy", {"on_exhausted": "never"}))[0] == 422
    assert (await gateway.admin("PUT", "config/policy", {}))[0] == 200
    assert (await gateway.admin("GET", "config/overlay"))[1]["overlay"] == {}


async def test_what_needs_a_restart_is_named(gateway: Gateway) -> None:
    patch = {"server": {"listen": "127.0.0.1:1", "max_body_mb": 1}}
    status, body = await gateway.admin("POST", "config", patch)
    assert (status, body["restart_required"]) == (200, ["server.listen"])
    assert (await gateway.admin("GET", "health"))[1]["config"]["restart_required"] == ["server.listen"]
    server = gateway.live.current.config.server
    assert (server.listen, server.max_body_mb) == (f"127.0.0.1:{gateway.port}", 1)


METRICS = {"prometheus": {"endpoint": "/figures"}}
"""A setting of logging that waits for a restart."""


async def test_what_waits_for_a_restart_can_be_set_back_to_what_runs(gateway: Gateway) -> None:
    listen = f"127.0.0.1:{gateway.port}"
    await gateway.admin("POST", "config", {"server": {"listen": "127.0.0.1:1"}, "logging": METRICS})
    back = {"server": {"listen": listen}}
    body = (await gateway.admin("POST", "config/validate", back))[1]
    assert body["changes"] == [{"path": "server.listen", "before": "127.0.0.1:1", "after": listen}]
    assert body["restart_required"] == ["logging.prometheus.endpoint"]
    body = (await gateway.admin("POST", "config", back))[1]
    assert body["restart_required"] == ["logging.prometheus.endpoint"]
    overlay = (await gateway.admin("GET", "config/overlay"))[1]["overlay"]
    assert overlay == {"server": {"listen": listen}, "logging": METRICS}


async def test_what_the_file_waits_with_can_be_set_back_as_well(
    tmp_path: Path, store: MemoryConfigStore
) -> None:
    async with running(keyed(), tmp_path, config_store=store) as gateway:
        file = keyed()
        gateway.write({**file, "server": {**file["server"], "admin_listen": "127.0.0.1:1"}})
        assert (await gateway.post_reload())[1]["restart_required"] == ["server.admin_listen"]
        body = (await gateway.admin("POST", "config", {"server": {"admin_listen": None}}))[1]
        assert body["restart_required"] == []


async def test_what_waits_for_a_restart_goes_on_waiting_when_an_answer_is_sent_back(gateway: Gateway) -> None:
    await gateway.admin("POST", "config", {"logging": METRICS})
    answer = (await gateway.admin("GET", "config"))[1]
    answer["policy"]["retry"]["max_attempts"] = 4
    body = (await gateway.admin("POST", "config", answer))[1]
    assert body["restart_required"] == ["logging.prometheus.endpoint"]
    overlay = (await gateway.admin("GET", "config/overlay"))[1]["overlay"]
    assert overlay == {"logging": METRICS, "policy": {"retry": {"max_attempts": 4}}}


async def test_what_is_not_set_cannot_be_taken_back(gateway: Gateway) -> None:
    assert (await gateway.admin("DELETE", "config/overlay/policy/retry"))[0] == 404
    assert (await gateway.admin("DELETE", "config/overlay/api_keys/one"))[0] == 404


async def test_without_a_master_key_a_secret_is_refused_and_all_else_is_not(tmp_path: Path) -> None:
    async with running(configured(UP, **SERVER), tmp_path) as gateway:
        patch = {"llm_providers": [{"id": "up", "api_keys": [{"id": "k", "key": NEW_KEY}]}]}
        status, body = await gateway.admin("POST", "config", patch)
        assert status == 409
        assert "COO_LLM_MASTER_KEY" in body["error"]
        assert "canary" not in str(body)
        assert (await gateway.admin("POST", "config", {"policy": {"priority": "cost"}}))[0] == 200


@pytest.mark.parametrize(
    "patch",
    [
        {"server": {"admin_api_key": "admin-canary-0123456789"}},
        {"server": {"webui": {"admin_password": "canary-password"}}},
        {"llm_providers": [{"id": "openai", "headers": {"x-proxy": "header-canary"}}]},
        {"llm_providers": [{"id": "new", "type": "openai", "api_keys": [NEW_KEY], "model": "g"}]},
        {"logging": {"providers": [{"type": "webhook", "endpoint": "http://u:canary@127.0.0.1:9/"}]}},
        {
            "logging": {
                "providers": [{"type": "webhook", "endpoint": "http://127.0.0.1:9/", "secret": "canary"}]
            }
        },
        {"api_keys": [{"id": "two", "key": "sk-client-canary"}]},
    ],
)
async def test_no_secret_is_kept_plain(gateway: Gateway, store: MemoryConfigStore, patch: Any) -> None:
    status, body = await gateway.admin("POST", "config", patch)
    assert (status, body.get("errors")) == (200, None)
    document = (await store.read()).data
    assert b"canary" not in document
    assert len(document) > 100


async def test_it_comes_back_after_a_restart_with_the_master_key_and_not_without(
    tmp_path: Path, store: MemoryConfigStore, capfd: pytest.CaptureFixture[str]
) -> None:
    async with running(keyed(), tmp_path, config_store=store) as gateway:
        patch = {"llm_providers": [{"id": "openai", "api_keys": [{"id": "second", "key": NEW_KEY}]}]}
        await gateway.admin("POST", "config", patch)
        await gateway.admin("POST", "clients", {"id": "two", "key": "sk-client-two"})
    async with running(keyed(), tmp_path, config_store=store) as gateway:
        assert len(gateway.live.current.catalog.services["openai"].keys) == 2
    for other in ({**STORAGE, "master_key": "another master key"}, {**STORAGE, "master_key": None}):
        async with running({**keyed(), "storage": other}, tmp_path, config_store=store) as gateway:
            assert len(gateway.live.current.catalog.services["openai"].keys) == 1  # the file alone
            (error,) = (await gateway.admin("GET", "config/overlay"))[1]["errors"]
            assert error["path"] == "llm_providers.openai.api_keys.second.key"
            assert "master key" in error["message"]
            assert (await gateway.of("sk-client-two").ask())[0] == 200  # clients need no master key
    await until(lambda: "not in effect" in capfd.readouterr().err)  # which another thread writes


async def test_what_no_longer_fits_an_edited_file_is_told_with_how_to_take_it_back(
    tmp_path: Path, store: MemoryConfigStore
) -> None:
    async with running(keyed({"id": "other", "type": "echo"}), tmp_path, config_store=store) as gateway:
        await gateway.admin("POST", "config", {"policy": {"fallback": {"providers": ["other"]}}})
        gateway.path.write_text(gateway.path.read_text().replace("other", "another"))
        status, body = await gateway.post_reload()
        assert status == 422
        [error] = body["details"]
        assert error["path"] == "policy.fallback.providers.0"
        assert error["message"].endswith(
            '(got "other"). It was set through the admin API; '
            "to take it back: coo-llm revert PATH policy.fallback.providers"
        )
        assert (await gateway.admin("DELETE", "config/overlay/policy.fallback.providers"))[0] == 200
        await until(lambda: not gateway.live.reload_errors)


async def test_of_several_settings_that_do_not_fit_each_can_be_taken_back(
    tmp_path: Path, store: MemoryConfigStore
) -> None:
    limits = {"req_per_min": 5}
    echoes = [{"id": id_, "type": "echo", "model": "m"} for id_ in ("a", "b")]
    async with running(keyed(*echoes), tmp_path, config_store=store) as gateway:
        set_ = {"llm_providers": [{"id": id_, "limits": limits} for id_ in ("a", "b")]}
        assert (await gateway.admin("POST", "config", set_))[0] == 200
        gateway.write(keyed(*({**echo, "id": f"new-{echo['id']}"} for echo in echoes)))
        assert (await gateway.post_reload())[0] == 422
        patch = {"policy": {"priority": "cost"}}
        assert (await gateway.admin("POST", "config", patch))[0] == 422  # only less may be set
        status, body = await gateway.admin("DELETE", "config/overlay/llm_providers/a")
        assert (status, body["reloaded"]) == (200, False)
        [error] = body["errors"]
        assert error["message"].endswith("coo-llm revert PATH llm_providers.b")
        assert (await gateway.admin("GET", "config/overlay"))[1]["errors"] == [error]
        status, body = await gateway.admin("DELETE", "config/overlay/llm_providers/b")
        assert (status, body["reloaded"], "errors" in body) == (200, True, False)
        assert (await gateway.admin("POST", "config", patch))[0] == 200
        fallback = {"fallback": {"providers": ["c"]}}
        both = {"policy": fallback, "llm_providers": [{**UP, "id": "c"}]}
        assert (await gateway.admin("POST", "config", both))[0] == 200
        assert (await gateway.admin("DELETE", "config/overlay/llm_providers/c"))[0] == 422  # all fits


@pytest.mark.parametrize(
    ("call", "change"),
    [
        ("config", {"policy": {"priority": "cost"}}),
        ("clients", {"id": "two"}),
        ("providers/openai/keys/second/disable", None),
    ],
)
async def test_the_master_key_can_be_replaced(
    tmp_path: Path, store: MemoryConfigStore, call: str, change: Any
) -> None:
    patch = {"llm_providers": [{"id": "openai", "api_keys": [{"id": "second", "key": NEW_KEY}]}]}
    async with running(keyed(), tmp_path, config_store=store) as gateway:
        await gateway.admin("POST", "config", patch)
    both = {**STORAGE, "master_key": f"the new master key,{STORAGE['master_key']}"}
    async with running({**keyed(), "storage": both}, tmp_path, config_store=store) as gateway:
        assert (await gateway.admin("POST", call, change))[0] < 300  # any change seals anew
    new = {**STORAGE, "master_key": "the new master key"}
    async with running({**keyed(), "storage": new}, tmp_path, config_store=store) as gateway:
        assert len(gateway.live.current.catalog.services["openai"].keys) == 2


async def test_two_gateways_that_share_the_store_agree(tmp_path: Path, store: MemoryConfigStore) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    async with (
        running(keyed(), folders[0], config_store=store) as one,
        running(keyed(), folders[1], config_store=store) as other,
    ):
        await one.admin("POST", "config", {"policy": {"priority": "cost"}})
        await until(lambda: other.live.current.config.policy.priority == "cost")
        await other.admin("POST", "config", {"policy": {"on_exhausted": "burst"}})
        await until(lambda: one.live.current.config.policy.on_exhausted == "burst")
        assert one.live.current.config.policy.priority == "cost"


async def test_a_file_that_the_overlay_no_longer_fits_is_reported_and_clients_still_change(
    tmp_path: Path, store: MemoryConfigStore
) -> None:
    async with running(keyed(), tmp_path, config_store=store) as gateway:
        await gateway.admin("POST", "config", {"policy": {"fallback": {"providers": ["openai"]}}})
        gateway.write({**keyed(UP), "policy": {"priority": "cost"}})
        status, body = await gateway.post_reload()
        assert status == 422
        assert body["details"][0]["path"] == "policy.fallback.providers.0"
        assert priority(gateway) == "balanced"  # the last good stays
        status, body = await gateway.admin("POST", "clients", {"id": "two", "key": "sk-client-two"})
        assert status == 201
        assert (await gateway.of("sk-client-two").ask())[0] == 200
        assert (await gateway.admin("DELETE", "config/overlay"))[0] == 200
        assert priority(gateway) == "cost"


def priority(gateway: Gateway) -> str:
    return gateway.live.current.config.policy.priority


class Unreachable(MemoryConfigStore):
    """Cannot be read as long as it is ``down``."""

    down = True

    async def read(self) -> Any:
        await self.version()
        return await super().read()

    async def version(self) -> str:
        if self.down:
            raise StoreUnavailable("nobody answers")
        return await super().version()


async def test_where_the_keys_of_clients_come_from(tmp_path: Path, store: MemoryConfigStore) -> None:
    async with running(keyed(), tmp_path, config_store=store) as gateway:

        async def found(*names: str) -> list[str]:
            sources = (await gateway.admin("GET", "config?sources=1"))[1]["sources"]
            return [sources[f"api_keys.{name}"] for name in names]

        assert await found("one.id", "one.key") == ["file", "file"]
        await gateway.admin("PUT", "clients/one", {"description": "changed"})
        await gateway.admin("POST", "clients", {"id": "made"})
        assert await found("one.id", "one.key", "one.description") == ["file", "file", "overlay"]
        assert await found("made.id", "made.key") == ["overlay", "overlay"]
        await gateway.admin("POST", "clients/one/rotate", {})
        assert await found("one.id", "one.key") == ["file", "overlay"]


async def test_while_nobody_knows_which_clients_there_are_nobody_is_anonymous(tmp_path: Path) -> None:
    store = Unreachable()
    config = {**configured(UP, server={"admin_api_key": ADMIN_KEY, "allow_anonymous": True})}
    del config["api_keys"]
    async with running(config, tmp_path, config_store=store) as gateway:
        assert (await gateway.of("sk-unknown").ask())[0] == 401
        assert (await gateway.admin("POST", "clients", {}))[0] == 503
        assert (await gateway.admin("GET", "config/overlay"))[1]["trouble"] == "nobody answers"
        store.down = False
        await until(lambda: not gateway.live.current.clients.exist)
        gateway.headers.clear()
        assert (await gateway.ask())[0] == 200
        store.down = True
        await gateway.post_reload()
        assert (await gateway.ask())[0] == 200  # what was read last stays


async def test_trouble_is_over_once_the_store_answers_again(tmp_path: Path) -> None:
    store = Unreachable()
    store.down = False
    async with running(keyed(), tmp_path, config_store=store) as gateway:
        assert (await gateway.admin("POST", "config", {"policy": {"priority": "cost"}}))[0] == 200
        store.down = True
        await until(lambda: gateway.live.managed.trouble is not None)
        await gateway.post_reload()
        store.down = False
        await until(lambda: gateway.live.managed.trouble is None)


async def test_a_damaged_list_is_trouble_of_the_document(tmp_path: Path, store: MemoryConfigStore) -> None:
    damaged = b'{"format": 1, "overlay": {"llm_providers": [1]}}'
    await store.write(damaged, await store.version())
    async with running(keyed(), tmp_path, config_store=store) as gateway:  # with the file alone
        status, body = await gateway.admin("GET", "config/overlay")
        assert (status, body["overlay"]) == (200, {})
        assert "storage.config is damaged" in body["trouble"]
        assert (await gateway.ask())[0] == 200
        assert (await gateway.admin("DELETE", "config/overlay"))[0] == 503
        assert (await store.read()).data == damaged
        await store.write(b"", await store.version())
        await until(lambda: gateway.live.managed.trouble is None)


class Full(MemoryConfigStore):
    """Takes no document as long as it is ``full``."""

    full = False

    async def write(self, data: bytes, expected: str) -> str:
        if self.full:
            raise StoreUnavailable("config.json: No space left on device")
        return await super().write(data, expected)


async def test_a_document_that_cannot_be_written_is_trouble_until_it_can_be(tmp_path: Path) -> None:
    store = Full()
    async with running(keyed(), tmp_path, config_store=store) as gateway:

        async def standing() -> dict[str, Any]:
            _, body = await gateway.admin("GET", "health")
            return next(one for one in body["dependencies"] if one["name"] == "storage.config")

        assert (await gateway.admin("POST", "config", {"policy": {"priority": "cost"}}))[0] == 200
        store.full = True
        assert (await gateway.admin("POST", "clients", {"id": "more"}))[0] == 503
        assert (await standing())["status"] == "degraded"
        assert "No space left on device" in (await standing())["message"]
        assert (await gateway.samples()).sum("store_errors_total", store="config", operation="write") >= 1
        assert (await gateway.admin("GET", "config/overlay"))[1]["trouble"] is None  # it can be read
        store.full = False
        await until(lambda: gateway.live.managed.unwritten is None)
        assert (await standing())["status"] == "ok"
        assert "more" not in gateway.live.managed.clients
        assert priority(gateway) == "cost"


async def test_the_listener_of_the_overlay_is_taken_at_the_next_start(
    tmp_path: Path, store: MemoryConfigStore
) -> None:
    port = free_port()
    async with running(keyed(), tmp_path, config_store=store) as gateway:
        await gateway.admin("POST", "config", {"server": {"admin_listen": f"127.0.0.1:{port}"}})
        assert (await gateway.admin("GET", "config"))[0] == 200
    async with running(keyed(), tmp_path, config_store=store) as gateway:
        assert (await gateway.admin("GET", "config"))[0] == 404
        assert len(gateway.daemon.addresses) == 2


async def test_the_configuration_is_shown_anew_only_when_it_is_another(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bool] = []
    effective = subject.effective

    def counted(state: AdminState, *, with_sources: bool) -> dict[str, Any]:
        made.append(with_sources)
        return effective(state, with_sources=with_sources)

    async def versions(path: str = "config") -> list[str]:
        return [(await gateway.admin("GET", path))[1]["config_version"] for _ in range(2)]

    monkeypatch.setattr(subject, "effective", counted)
    first = await versions()
    assert made == [False]
    assert await versions("config?sources=1") == first
    assert made == [False, True]
    await gateway.admin("POST", "clients", {"id": "two"})
    second = await versions()
    assert made == [False, True, False] and len({*first, *second}) == 2
    _, body = await gateway.admin("GET", "config?sources=1")
    assert [client["id"] for client in body["api_keys"]] == ["one", "two"]
    assert body["sources"]["api_keys.two.id"] == "overlay"
    await gateway.admin("POST", "config", {"policy": {"algorithm": "round_robin"}})
    assert not {*first, *second} & {*await versions()}
    assert made == [False, True, False, True, False]
