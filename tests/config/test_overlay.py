"""The overlay: what a patch changes, what of it is sealed, where settings come from, taking them back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.config.masked import masked, revealed
from gateway.config.overlay import is_part, sources, without
from gateway.config.overlay_applied import applied, blamed
from gateway.config.overlay_patch import Shown, changes
from gateway.config.overlay_secrets import hidden, opened, resealed, sealed
from gateway.config.problems import ConfigError, Problem
from gateway.config.read import Loaded
from gateway.config.schema import Config
from gateway.vault import NoMasterKey, Vault
from tests.config.conftest import Load

FILE = """
llm_providers:
  - {id: up, type: openai, model: m, api_keys: [sk-file-canary-0123456789], limits: {req_per_min: 5}}
policy: {retry: {max_attempts: 5}}
model_aliases: {gpt-4.1/fast: "up:m"}
logging: {providers: [{type: webhook, endpoint: "http://127.0.0.1/", secret: hook-canary-0123456789}]}
"""
VAULT = Vault("a master key of tests")
SECRET = "sk-api-canary-9876543210"


@pytest.fixture
def loaded(load: Load) -> Loaded:
    return load(FILE)


def shown(config: Config) -> Shown:
    return Shown(masked(config), revealed(config))


def test_only_what_differs_is_a_change(loaded: Loaded) -> None:
    now = shown(loaded.config)
    assert changes(now.masked, now) == {}
    edited = json.loads(json.dumps(now.masked))
    edited["llm_providers"][0]["limits"]["req_per_min"] = 6
    edited["policy"]["retry"]["max_attempts"] = True
    assert changes(edited, now) == {
        "llm_providers": [{"id": "up", "limits": {"req_per_min": 6}}],
        "policy": {"retry": {"max_attempts": True}},
    }


def test_where_something_waits_for_a_restart_what_is_shown_is_a_change_as_well(loaded: Loaded) -> None:
    now = shown(loaded.config)
    waiting = [("server", "workers"), ("logging", "providers")]
    again = {name: now.masked[name] for name in ("server", "logging", "policy", "storage")}
    assert changes(again, now, waiting) == {
        "server": {"workers": now.masked["server"]["workers"]},
        "logging": {"providers": now.actual["logging"]["providers"]},  # with the secret
    }


def test_masks_in_a_list_that_is_replaced_stand_for_what_they_were(loaded: Loaded) -> None:
    now = shown(loaded.config)
    edited = json.loads(json.dumps(now.masked["logging"]["providers"]))
    edited[0]["endpoint"] = "http://127.0.0.2/"
    found = changes({"logging": {"providers": edited}}, now)
    assert found["logging"]["providers"][0]["secret"] == "hook-canary-0123456789"


@pytest.mark.parametrize("name", ["storage", "version"])
def test_what_only_the_file_can_set(loaded: Loaded, name: str) -> None:
    for value in ({"on_trouble": "open"}, None):
        with pytest.raises(ConfigError, match=f"{name}: .* in the file"):
            changes({name: value}, shown(loaded.config))


@pytest.mark.parametrize(
    "patch",
    [
        {"llm_providers": [{"id": "up", "api_keys": [{"id": "x", "key": SECRET}]}]},
        {"llm_providers": [{"id": "up", "headers": {"x-a": SECRET}}]},
        {"llm_providers": [{"id": "new", "type": "some-plugin", "client_secret": SECRET}]},
        {"server": {"admin_api_key": SECRET, "webui": {"admin_password": SECRET}}},
        {"logging": {"providers": [{"type": "webhook", "endpoint": f"http://u:{SECRET}@127.0.0.1/"}]}},
        {"llm_providers": [{"id": "up", "name": f"coo-sealed:1:{SECRET}"}]},
    ],
)
def test_secrets_are_sealed_and_open_to_what_they_were(patch: Any) -> None:
    overlay = sealed(patch, VAULT)
    assert "canary" not in json.dumps(overlay)
    assert "canary" not in json.dumps(hidden(overlay, VAULT))
    assert opened(overlay, VAULT) == patch
    with pytest.raises(NoMasterKey):
        sealed(patch, Vault(None))


def test_what_is_no_secret_is_not_sealed() -> None:
    patch = {"model_aliases": {"my-key": "up:m"}, "policy": {"priority": "cost"}}
    assert sealed(patch, Vault(None)) == patch


def test_what_cannot_be_opened_is_named_and_survives_a_change_of_the_master_key() -> None:
    overlay = sealed({"server": {"admin_api_key": SECRET}, "policy": {"priority": "cost"}}, VAULT)
    other = Vault("another master key")
    with pytest.raises(ConfigError, match=r"server\.admin_api_key: .*another master key"):
        opened(overlay, other)
    assert resealed(overlay, other) == overlay
    both = Vault("another master key,a master key of tests")
    assert opened(resealed(overlay, both), other) == opened(overlay, VAULT)


def test_it_is_applied_on_top_of_the_file(loaded: Loaded) -> None:
    keyed = {"id": "openai-two", "model": "n", "api_keys": [{"id": "x", "key": SECRET}]}
    overlay = {"policy": {"retry": {"interval": "2s"}}, "llm_providers": [keyed]}
    config = applied(loaded.values, sealed(overlay, VAULT), VAULT, None)
    assert (config.policy.retry.max_attempts, config.policy.retry.interval) == (5, 2.0)
    assert config.llm_providers[1].type == "openai"  # inferred, as in the file
    with pytest.raises(ConfigError, match=r"policy\.retry\.interval"):
        applied(loaded.values, {"policy": {"retry": {"interval": "soon"}}}, VAULT, None)
    assert loaded.config.policy.retry.interval == 1.0


def test_where_settings_come_from(loaded: Loaded) -> None:
    overlay = {"policy": {"retry": None, "cache": {"enabled": True}}}
    config = applied(loaded.values, overlay, VAULT, None)
    found = sources(shown(config).masked, loaded.values, overlay)
    assert found["policy.retry.max_attempts"] == "default"
    assert found["policy.cache.enabled"] == "overlay"
    assert found["llm_providers.up.limits.req_per_min"] == "file"
    assert found["llm_providers.up.limits.tokens_per_min"] == "default"


@pytest.mark.parametrize(
    ("where", "path"),
    [
        ("policy/retry/interval", "policy.retry.interval"),
        ("policy.retry", "policy.retry"),
        ("model_aliases/gpt-4.1/fast", 'model_aliases."gpt-4.1/fast"'),
        ('model_aliases."gpt-4.1/fast"', 'model_aliases."gpt-4.1/fast"'),
        ("llm_providers/a.b/limits", 'llm_providers."a.b".limits'),
    ],
)
def test_one_setting_is_taken_back_and_what_that_leaves_empty(where: str, path: str) -> None:
    overlay: dict[str, Any] = {
        "policy": {"retry": {"interval": 2}},
        "model_aliases": {"gpt-4.1/fast": None},
        "llm_providers": [{"id": "a.b", "limits": {"req_per_min": 1}}],
    }
    left, found = without(overlay, where)
    assert found == path
    assert left == {name: value for name, value in overlay.items() if not path.startswith(name)}


@pytest.mark.parametrize(
    "where", ["policy/cache", "polic", "policy/", "llm_providers/b", "policy/retry/interval/x"]
)
def test_what_is_not_set_is_not_taken_back(where: str) -> None:
    with pytest.raises(KeyError):
        without({"policy": {"retry": {"interval": 2}}}, where)


@pytest.mark.parametrize(
    ("part", "is_it"),
    [
        ({}, True),
        ({"llm_providers": [{"id": "b", "limits": {"req_per_min": 1}}]}, True),
        ({"policy": {"retry": None}}, True),
        ({"policy": {"retry": {"interval": 2}}}, False),
        ({"policy": {"retry": None, "priority": "cost"}}, False),
        ({"llm_providers": [{"id": "b", "limits": {"req_per_min": 2}}]}, False),
        ({"llm_providers": [{"id": "c"}]}, False),
    ],
)
def test_what_is_set_less_something(part: dict[str, Any], is_it: bool) -> None:
    providers = [{"id": id_, "limits": {"req_per_min": 1}} for id_ in ("a", "b")]
    assert is_part(part, {"policy": {"retry": None}, "llm_providers": providers}) is is_it


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("policy.fallback.providers.0", "revert PATH policy.fallback.providers"),
        ("llm_providers.1.base_url", "revert PATH llm_providers.new"),
        ("llm_providers.1", "revert PATH llm_providers.new"),
        ("llm_providers.0.limits", "revert PATH llm_providers.up.limits"),
        ("llm_providers.new.headers.x", "revert PATH llm_providers.new.headers.x"),
        ('model_aliases."gpt-4.1/fast"', "revert PATH 'model_aliases.\"gpt-4.1/fast\"'"),
        ("server.listen", "revert PATH lists that"),
    ],
)
def test_what_no_longer_fits_the_file_says_how_to_take_it_back(
    loaded: Loaded, path: str, advice: str
) -> None:
    overlay: dict[str, Any] = {
        "policy": {"fallback": {"providers": ["gone"]}},
        "llm_providers": [
            {"id": "new", "type": "custom", "headers": {"x": "y"}},
            {"id": "up", "limits": {"req_per_min": 1}},
        ],
        "model_aliases": {"gpt-4.1/fast": None},
    }
    [problem] = blamed(loaded.values, overlay, [Problem(path, None, "is wrong", "5")])
    assert str(problem).startswith(f"{path}: is wrong (got 5). It ")
    assert advice in str(problem)


@pytest.mark.parametrize(
    ("key", "setting"),
    [
        ("new", "llm_providers.up.api_keys.new"),  # less its key it would be none
        ("own", "llm_providers.up.api_keys.own.key"),  # the file's then counts again
    ],
)
def test_a_key_that_cannot_be_opened_is_taken_back_as_a_whole_where_it_is_none_of_the_files(
    load: Load, key: str, setting: str
) -> None:
    file = load(FILE.replace("sk-file-canary-0123456789", "{id: own, key: sk-file-canary-0123456789}"))
    keys = [{"id": id_, "key": SECRET, "limits": {"req_per_min": 1}} for id_ in ("new", "own")]
    overlay = sealed({"llm_providers": [{"id": "up", "api_keys": keys}]}, VAULT)
    with pytest.raises(ConfigError) as raised:
        applied(file.values, overlay, Vault("another master key"), None)
    found = blamed(file.values, overlay, raised.value.errors)
    [problem] = [one for one in found if one.path == f"llm_providers.up.api_keys.{key}.key"]
    assert problem.advice.endswith(f" PATH {setting}")
