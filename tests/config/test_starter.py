"""The configuration to start from."""

from __future__ import annotations

from gateway.config.starter import starter
from tests.config.conftest import Load


def test_it_is_valid_and_has_keys_of_its_own(load: Load) -> None:
    first, second = load(starter()), load(starter())
    assert first.warnings == []
    assert first.version != second.version
    assert first.config.server.admin_api_key is not None
    assert len(first.config.server.admin_api_key.get_secret_value()) > 30
    assert first.config.api_keys is not None
    assert first.config.api_keys[0].key.get_secret_value().startswith("sk-coo-")
    assert first.config.server.listen == "127.0.0.1:2906"


def test_what_is_commented_out_is_valid_too(load: Load) -> None:
    text = starter().replace("\n  # ", "\n  ")
    env = {"OPENAI_KEY": "a", "CLAUDE_KEY": "b", "GEMINI_KEY": "c", "MASTER_KEY": "d"}
    config = load(text, env).config
    assert [provider.type for provider in config.llm_providers] == ["echo", "openai", "claude", "gemini"]
    assert config.server.workers == "auto"
    assert config.storage.master_key is not None


def test_it_keeps_its_state(load: Load) -> None:
    """What it says to be the defaults are the defaults."""
    assert load(starter()).config.storage == load("llm_providers: [{type: echo}]\n").config.storage
