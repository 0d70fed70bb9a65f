"""Warnings, and what is not served."""

from __future__ import annotations

import pytest

from gateway.config.cautions import own_secrets
from gateway.config.read import read
from tests.config.conftest import ECHO, KNOWN, Load

MEMORY = ECHO + "storage: {config: {type: memory}, runtime: {type: memory}}\n"


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("server: {admin_api_key: short}", "server.admin_api_key: is weak"),
        ("server: {cors: {allow_credentials: true}}", "server.cors: allow_credentials"),
        ("model_aliases: {a: 'nobody:b'}", 'model_aliases.a: there is no provider "nobody"'),
        (
            "policy: {algorithm: round_robin, affinity: {enabled: true}}",
            "policy.affinity: has no effect with round_robin, only with hybrid and adaptive",
        ),
        ("model_aliases: {gpt-4.1: 'nobody:b'}", 'model_aliases."gpt-4.1": there is no provider'),
    ],
)
def test_warnings(load: Load, text: str, start: str) -> None:
    (warning,) = load(ECHO + text).warnings
    assert warning.startswith(start)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("content: true, file: {path: /log}, providers: [{type: stdout, name: ops}]", "/log, the sink ops"),
        ("content: true, file: {enabled: false}", "stderr"),
    ],
)
def test_where_prompts_are_written(load: Load, text: str, places: str) -> None:
    (warning,) = load(f"{ECHO}logging: {{{text}}}").warnings
    assert warning == f"logging.content: prompts and answers are written to {places}"


def test_the_own_secrets(load: Load) -> None:
    text = """
        llm_providers: [{type: openai, api_keys: [k, l, k], headers: {x-title: Ours}}]
        server: {admin_api_key: 0123456789abcdef}
        api_keys: [{key: sk-client}]
        logging: {providers: [{type: webhook, endpoint: "https://host/", secret: of-the-hook}]}
    """
    assert sorted(own_secrets(load(text).config)) == ["0123456789abcdef", "k", "l", "of-the-hook"]


def test_a_key_that_is_given_twice(load: Load) -> None:
    (warning,) = load("llm_providers: [{type: openai, api_keys: [k, l, k]}]").warnings
    assert warning.startswith("llm_providers.0.api_keys.2: is the same as an earlier key")


def test_nothing_to_warn_of(load: Load) -> None:
    text = "server: {admin_api_key: 0123456789abcdef}\nmodel_aliases: {a: 'echo:b'}\n"
    assert load(ECHO + text).warnings == []


def test_secrets_in_a_file_that_all_can_read(load: Load, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("open") / "config.yaml"
    path.write_text("llm_providers: [{type: openai, api_keys: [sk-literal, '${KEY}']}]\n")
    path.chmod(0o644)
    (warning,) = read(str(path), {"KEY": "sk-other"}, KNOWN).warnings
    assert "holds llm_providers.0.api_keys.0.key:" in warning
    path.chmod(0o600)
    assert read(str(path), {"KEY": "sk-other"}, KNOWN).warnings == []
