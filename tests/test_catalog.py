"""The catalog by itself: what is made once, what is bounded, and the pools of clients with few providers."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.catalog import MAX_UNLISTED, Catalog, Pool
from gateway.runtime import Runtime
from tests.test_build import built


@pytest.fixture
def runtime() -> Runtime:
    providers = [
        {"id": "one", "type": "echo", "model": "m", "api_keys": ["a", "b"]},
        {"id": "two", "type": "echo", "model": "m", "models": ["x"]},
    ]
    return built(llm_providers=providers, model_aliases={"smart": "one:m", "lost": "gone:m"})


@pytest.fixture
def catalog(runtime: Runtime) -> Catalog:
    return runtime.catalog


def resolved(catalog: Catalog, name: str) -> Pool:
    pool = catalog.resolve(name)
    assert pool is not None
    return pool


def test_a_pool_has_a_candidate_for_each_key(catalog: Catalog) -> None:
    targets = resolved(catalog, "m").targets
    assert [target.provider for target in targets] == ["one", "one", "two"]
    assert len({target.key for target in targets[:2]}) == 2


def test_the_same_candidate_is_the_same_object_in_every_pool(catalog: Catalog) -> None:
    """Algorithms tell candidates apart by identity."""
    whole, own, alias = (resolved(catalog, name).targets for name in ("m", "one:m", "smart"))
    assert whole[:2] == own == alias
    assert resolved(catalog, "one:new").targets is resolved(catalog, "one:new").targets


def test_an_alias_to_nobody_stands_for_nothing(catalog: Catalog) -> None:
    assert resolved(catalog, "lost").targets == ()
    assert catalog.resolve("gone:m") is None


def test_unlisted_names_are_kept_up_to_a_number_and_never_listed(catalog: Catalog) -> None:
    listed = set(catalog.names())
    first = resolved(catalog, "one:0")
    for number in range(1, MAX_UNLISTED + 1):
        assert resolved(catalog, f"one:{number}").targets[0].label == "other"
    assert resolved(catalog, "one:0") is not first
    assert set(catalog.names()) == listed == {"m", "x", "one:m", "two:m", "two:x", "smart", "lost"}


def test_a_pool_within_some_providers(catalog: Catalog) -> None:
    pool = resolved(catalog, "m")
    assert pool.within(None) is pool.targets
    assert [target.provider for target in pool.within(frozenset({"two"}))] == ["two"]
    assert pool.within(frozenset({"two"})) is pool.within(frozenset({"two"}))
    assert pool.within(frozenset()) == ()


def test_who_serves_a_model(catalog: Catalog) -> None:
    assert [service.id for service in catalog.serving("m")] == ["one", "two"]
    assert catalog.serving("unheard-of") == ()


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        *(
            (name, "openai")
            for name in ("gpt-9", "o1", "o3-mini", "o4-x", "chatgpt-4o", "text-embedding-3-small")
        ),
        *((name, "gemini") for name in ("gemini-3-pro", "gemma-3")),
        ("claude-opus-4", "claude"),
        *((name, None) for name in ("llama-3", "opus", "GPT-4", "m:gpt-4")),
    ],
)
def test_types_are_inferred_from_names(name: str, type_: str | None) -> None:
    providers: list[dict[str, Any]] = [
        {"id": f"my-{kind}", "type": kind, "api_keys": ["k"]} for kind in ("openai", "gemini", "claude")
    ]
    pool = built(llm_providers=providers).catalog.resolve(name)
    assert (pool and [target.provider for target in pool.targets]) == (type_ and [f"my-{type_}"])


@pytest.mark.parametrize("name", ["gpt-image-1", "omni-moderation-latest", "whisper-1", "tts-1", "dall-e-3"])
def test_names_of_openai_models_are_known_without_a_list(name: str) -> None:
    catalog = built(llm_providers=[{"id": "up", "type": "openai", "api_keys": ["k"]}]).catalog
    assert [target.model for target in resolved(catalog, name).targets] == [name]
