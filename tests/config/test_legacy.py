"""Older forms and types that are left out."""

from __future__ import annotations

import pytest

from gateway.config.problems import ConfigError
from tests.config.conftest import ECHO, Load


def test_the_older_provider_list(load: Load) -> None:
    loaded = load(
        """
        providers:
          - id: openai
            base_url: https://api.openai.com/v1
            keys: [{secret: sk-1, limits: {req_per_min: 5}}, sk-2]
        """
    )
    (provider,) = loaded.config.llm_providers
    assert provider.type == "openai"
    assert [key.key.get_secret_value() for key in provider.api_keys] == ["sk-1", "sk-2"]
    assert provider.api_keys[0].limits is not None
    assert len(loaded.warnings) == 1
    assert loaded.warnings[0].startswith("providers: ")


def test_errors_in_older_forms_are_named_as_they_are_in_the_file(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load("providers:\n- id: openai\n  keys:\n  - secret: 'a b'\npolicy: {strategy: hybird}\n")
    places = [(problem.path, problem.line) for problem in caught.value.errors]
    assert places == [("providers.0.keys.0.secret", 4), ("policy.strategy", 5)]


def test_strategy_is_algorithm(load: Load) -> None:
    loaded = load(ECHO + "policy: {strategy: round_robin}\n")
    assert loaded.config.policy.algorithm == "round_robin"
    assert [warning.split(":")[0] for warning in loaded.warnings] == ["policy.strategy"]


def test_old_and_new_name_together_are_an_error(load: Load) -> None:
    with pytest.raises(ConfigError, match="older name of algorithm"):
        load(ECHO + "policy: {strategy: hybrid, algorithm: hybrid}\n")


@pytest.mark.parametrize(
    ("provider", "kind"),
    [
        ("id: openai", "openai"),
        ("id: groq", "groq"),
        ("id: claude-prod", "claude"),
        ("id: x, base_url: 'https://api.anthropic.com'", "claude"),
        ("id: x, base_url: 'https://generativelanguage.googleapis.com/v1'", "gemini"),
        ("id: gemini-like, base_url: 'https://api.openai.com'", "openai"),
        ("id: x, base_url: 'http://localhost:8000'", "custom"),
        ("base_url: 'http://localhost:8000'", "custom"),
    ],
)
def test_types_are_inferred(load: Load, provider: str, kind: str) -> None:
    (read,) = load(f"llm_providers: [{{{provider}, api_keys: [sk]}}]").config.llm_providers
    assert read.type == kind


def test_a_type_that_cannot_be_told_is_an_error(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load("llm_providers: [{id: x}, {model: y}]")
    assert [problem.path for problem in caught.value.errors] == [
        "llm_providers.0.type",
        "llm_providers.1.type",
    ]
    assert "cannot be told" in caught.value.errors[0].message
