"""The published JSON Schema says the same as the reader."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from gateway.config.json_schema import document
from gateway.config.starter import starter

PUBLISHED = Path(__file__).parents[2] / "gateway" / "config" / "schema.json"
SEEDS = sorted((Path(__file__).parent / "seeds").glob("*.yaml"))
FULL = Path(__file__).parents[2] / "etc" / "config.yaml"
ECHO = {"llm_providers": [{"type": "echo"}]}


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(PUBLISHED.read_bytes()))


def test_it_is_up_to_date() -> None:
    """If not: python -m gateway.config.json_schema > gateway/config/schema.json"""
    assert json.loads(PUBLISHED.read_bytes()) == json.loads(json.dumps(document()))


def test_it_is_a_schema(validator: Draft202012Validator) -> None:
    Draft202012Validator.check_schema(validator.schema)


@pytest.mark.parametrize("path", [*SEEDS, FULL], ids=lambda path: path.stem)
def test_valid_files(validator: Draft202012Validator, path: Path) -> None:
    validator.validate(yaml.safe_load(path.read_text()))


def test_the_starter(validator: Draft202012Validator) -> None:
    validator.validate(yaml.safe_load(starter()))


@pytest.mark.parametrize(
    "more",
    [
        {"server": {"workers": "auto", "drain_timeout": 5, "tls": None}},
        {"server": {"max_body_mb": "${MB}", "allow_anonymous": "${ANYONE:-false}"}},
        {"model_aliases": {"a": ["b:c", {"target": "d:e", "weight": 2}], "f": {"target": "g:h"}}},
        {"policy": {"strategy": "hybrid", "priority": "${PRIORITY}"}},
        {
            "llm_providers": [
                {"id": "openai", "api_keys": ["a", {"key": "b"}], "models": ["c", {"name": "d"}]}
            ]
        },
        {"logging": {"providers": [{"type": "webhook", "endpoint": "https://example.com"}]}},
        {"api_keys": [{"key": "k", "budget": {"usd": 1.5, "window": "30d"}, "expires_at": "2027-01-31"}]},
    ],
)
def test_valid_settings(validator: Draft202012Validator, more: dict[str, object]) -> None:
    validator.validate({**ECHO, **more})


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"llm_providers": []},
        {**ECHO, "servr": {}},
        {**ECHO, "version": "2.0"},
        {**ECHO, "server": {"workers": 0}},
        {**ECHO, "server": {"workers": "many"}},
        {**ECHO, "server": {"drain_timeout": "half a minute"}},
        {**ECHO, "server": {"tls": {"cert_file": "a"}}},
        {**ECHO, "policy": {"priority": "fast"}},
        {**ECHO, "policy": {"hybrid_weights": {"latency": 2}}},
        {**ECHO, "api_keys": [{"id": "a"}]},
        {**ECHO, "model_aliases": {"a": "b"}},
        {"llm_providers": [{"type": "echo", "limits": {"req_per_min": "5"}}]},
        {"llm_providers": [{"type": "echo", "pricing": {"input_token_cost": -1}}]},
        {"llm_providers": [{"type": "echo", "base_url": "ftp://x"}]},
        {"providers": [{"id": "a", "keys": [{"secret": 5}]}]},
    ],
)
def test_broken_settings(validator: Draft202012Validator, broken: dict[str, object]) -> None:
    assert not validator.is_valid(broken)
