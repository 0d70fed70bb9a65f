"""Reading whole files."""

from __future__ import annotations

import os
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.config.known import Known
from gateway.config.problems import ConfigError
from gateway.config.read import read
from tests.config.conftest import ECHO, KNOWN, Load

SEEDS = sorted((Path(__file__).parent / "seeds").glob("*.yaml"))
FULL = Path(__file__).parents[2] / "etc" / "config.yaml"


class Anything(defaultdict[str, str]):
    """An environment in which every variable is set, but the one that is no reference."""

    def get(self, name: str, default: object = None) -> str | None:  # type: ignore[override]
        return None if name == "COO_LLM_MASTER_KEY" else f"value-of-{name}"


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.stem)
def test_the_configurations_that_must_load(path: Path) -> None:
    assert read(path, Anything(), KNOWN).config.llm_providers


def test_there_are_five_of_them() -> None:
    assert len(SEEDS) == 5


def test_what_the_full_one_says(load: Load) -> None:
    path = next(path for path in SEEDS if path.stem == "readme-full")
    config = read(path, Anything(), KNOWN).config
    openai, gemini = config.llm_providers
    assert (openai.id, openai.name, openai.type, openai.model) == (
        "openai-prod",
        "openai-prod",
        "openai",
        "gpt-4o",
    )
    assert [key.key.get_secret_value() for key in openai.api_keys] == [
        "value-of-OPENAI_KEY_1",
        "value-of-OPENAI_KEY_2",
    ]
    assert gemini.pricing.input_token_cost == Decimal("0.00025")
    assert openai.limits.req_per_min == 200
    assert config.api_keys is not None
    assert [client.allowed_providers for client in config.api_keys][:1] == [("openai-prod",)]
    assert [(t.target, t.weight) for t in config.model_aliases["gpt-4o"]] == [("openai-prod:gpt-4o", 1.0)]
    assert config.policy.retry.timeout == 30.0
    assert config.policy.hybrid_weights is None
    assert config.storage.runtime.addr == "localhost:6379"


def test_the_commented_full_configuration() -> None:
    assert read(FULL, {}, KNOWN).warnings == []


def test_the_full_configuration_shows_the_defaults(load: Load) -> None:
    shown, default = read(FULL, {}, KNOWN).config, load(ECHO).config
    for section in ("server", "logging", "storage", "policy", "api_keys", "model_aliases"):
        assert getattr(shown, section) == getattr(default, section)


def test_defaults_are_the_contract(load: Load) -> None:
    config = load(ECHO).config
    assert config.server.listen == ":2906"
    assert config.server.drain_timeout == 30
    assert config.storage.config.path == "./data/config.json"
    assert config.storage.retention.rollups == 400 * 86400
    assert config.api_keys is None
    assert config.policy.circuit_breaker.slow_start == 30
    assert config.llm_providers[0].id == "echo"
    assert load(ECHO + "api_keys: []\n").config.api_keys == ()


def test_a_setting_without_value_is_as_if_absent(load: Load) -> None:
    text = "server:\n  listen:\nlogging:\napi_keys:\npolicy:\n  retry: {timeout: null}\n"
    assert load(ECHO + text).version == load(ECHO).version


def test_ids_come_from_the_secrets(load: Load) -> None:
    config = load(
        "llm_providers: [{type: openai, api_keys: [abc, {id: own, key: def}]}]\napi_keys: [{key: abc}]"
    ).config
    assert [key.id for key in config.llm_providers[0].api_keys] == ["k-ba7816bf", "own"]
    assert config.api_keys is not None
    assert config.api_keys[0].id == "c-ba7816bf"


def test_a_plugin_s_own_settings(load: Load) -> None:
    text = """
    llm_providers: [{type: echo, delay: 5, failing: {every: 2}, region: "${REGION}"}]
    logging: {providers: [{type: webhook, endpoint: "https://example.com"}]}
    storage: {runtime: {type: memory, size: 7}}
    """
    config = load(text, {"REGION": "north"}).config
    assert config.llm_providers[0].settings == {"delay": 5, "failing": {"every": 2}, "region": "north"}
    assert config.logging.providers[0].settings == {"endpoint": "https://example.com"}
    assert config.logging.providers[0].name == "webhook"
    assert config.storage.runtime.settings == {"size": 7}


def test_a_substituted_scalar_is_read_as_the_field_s_type(load: Load) -> None:
    text = """
    llm_providers: [{type: echo, limits: {req_per_min: "${RPM}"}, pricing: {input_token_cost: "${PRICE}"}}]
    policy: {cache: {enabled: "${CACHE:-true}"}, retry: {interval: "${SECONDS}s"}, priority: "${PRIORITY}"}
    """
    config = load(text, {"RPM": "5", "PRICE": "0.0020", "SECONDS": "3", "PRIORITY": "cost"}).config
    assert config.llm_providers[0].limits.req_per_min == 5
    assert config.llm_providers[0].pricing.input_token_cost == Decimal("0.002")
    assert config.policy.cache.enabled is True
    assert config.policy.retry.interval == 3
    assert config.policy.priority == "cost"


def test_the_version_is_that_of_the_effective_configuration(load: Load) -> None:
    plain = load("llm_providers: [{type: openai, api_keys: [sk-1]}]").version
    assert len(plain) == 12
    assert (
        load(
            "# another spelling\nllm_providers:\n- {api_keys: ['${K}'], type: openai}", {"K": "sk-1"}
        ).version
        == plain
    )
    assert load("llm_providers: [{type: openai, api_keys: [sk-2]}]").version != plain
    assert load("llm_providers: [{type: openai, api_keys: [sk-1], organization: x}]").version != plain


def test_the_master_key_may_come_from_the_environment(load: Load) -> None:
    key = load(ECHO, {"COO_LLM_MASTER_KEY": "from-outside"}).config.storage.master_key
    assert key is not None
    assert key.get_secret_value() == "from-outside"
    key = load(
        ECHO + "storage: {master_key: own}\n", {"COO_LLM_MASTER_KEY": "from-outside"}
    ).config.storage.master_key
    assert key is not None
    assert key.get_secret_value() == "own"


def test_what_an_empty_variable_switches_off(load: Load) -> None:
    server = 'server: {admin_api_key: "${X:-}", admin_listen: "${X:-}"}\n'
    storage = 'storage: {runtime: {password: "${X:-}"}}\n'
    config = load(ECHO + server + storage).config
    assert config.server.admin_api_key is None
    assert config.server.admin_listen is None
    assert config.storage.runtime.password is None


@pytest.mark.parametrize("path", ["/does/not/exist", "/", "a\0b"])
def test_files_that_cannot_be_read(path: str) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read(path, {})


@pytest.mark.parametrize("text", ["- a\n", "just text\n", "5\n"])
def test_files_that_are_no_mapping(load: Load, text: str) -> None:
    with pytest.raises(ConfigError, match="must hold a mapping"):
        load(text)


def test_without_known_plugins_any_name_goes(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("llm_providers: [{type: acme}]\npolicy: {algorithm: acme}\n")
    os.chmod(path, 0o600)
    assert read(path, {}).config.policy.algorithm == "acme"
    with pytest.raises(ConfigError) as caught:
        read(path, {}, Known())
    assert len(caught.value.errors) == 2
