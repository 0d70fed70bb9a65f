"""What sections have in common."""

from __future__ import annotations

from gateway.config.problems import render, steps
from gateway.config.schema import Config, Cors, KeyLimits, Pricing, ProviderConfig, Target
from gateway.config.section import section_at


def test_the_section_that_holds_a_path() -> None:
    assert section_at(Config, ("server",)) is Config
    assert section_at(Config, ("server", "cors", "enabled")) is Cors
    assert section_at(Config, ("llm_providers", 0, "id")) is ProviderConfig
    assert section_at(Config, ("llm_providers", 0, "api_keys", 1, "limits", "x")) is KeyLimits
    assert section_at(Config, ("llm_providers", 0, "models", 1, "pricing", "x")) is Pricing
    assert section_at(Config, ("model_aliases", "gpt-4o", 0, "weight")) is Target


def test_paths_as_they_are_read() -> None:
    assert render(("llm_providers", 0, "models", 1, "name")) == "llm_providers.0.models.1.name"
    assert render(("model_aliases", "gpt-4.1")) == 'model_aliases."gpt-4.1"'
    for path in (("llm_providers", 0, "models", 1, "name"), ("model_aliases", "gpt-4.1", "a b", 0)):
        assert steps(render(path)) == path
