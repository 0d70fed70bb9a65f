"""Merging configurations: maps merge, lists are replaced but for those of things with ids, null removes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.problems import ConfigError
from gateway.config.tree import by_id, find, indexed, leaves, merge

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
NAMES = st.sampled_from(["a", "b", "llm_providers", "api_keys"])
ITEMS = st.lists(
    st.fixed_dictionaries({"id": st.sampled_from("xyz")}, optional={"model": st.text(max_size=2)}),
    max_size=3,
    unique_by=lambda item: item["id"],
)
VALUES = st.dictionaries(
    NAMES,
    st.recursive(
        SCALARS,
        lambda inner: st.dictionaries(st.sampled_from("ab"), inner, max_size=2) | st.lists(inner, max_size=2),
        max_leaves=6,
    ),
    max_size=3,
).map(lambda values: {n: v for n, v in values.items() if n not in ("llm_providers", "api_keys")})
CONFIGS = st.builds(
    lambda values, providers: {**values, "llm_providers": providers} if providers else values, VALUES, ITEMS
)


@pytest.mark.parametrize(
    ("base", "patch", "merged"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({"a": 1}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}),
        (
            {"llm_providers": [{"id": "x", "model": "m"}, {"type": "echo"}]},
            {"llm_providers": [{"id": "echo", "model": "n"}, {"id": "new"}]},
            {
                "llm_providers": [
                    {"id": "x", "model": "m"},
                    {"id": "echo", "type": "echo", "model": "n"},
                    {"id": "new"},
                ]
            },
        ),
        (
            {"llm_providers": [{"id": "x", "api_keys": ["secret"]}]},
            {
                "llm_providers": [
                    {"id": "x", "api_keys": [{"id": "k-2bb80d53", "limits": {"req_per_min": 1}}]}
                ]
            },
            {
                "llm_providers": [
                    {
                        "id": "x",
                        "api_keys": [{"id": "k-2bb80d53", "key": "secret", "limits": {"req_per_min": 1}}],
                    }
                ]
            },
        ),
    ],
)
def test_merge(base: Any, patch: Any, merged: Any) -> None:
    assert merge(base, patch, drop_nulls=True) == merged


@given(CONFIGS, CONFIGS)
def test_all_that_a_patch_says_holds_after_it(base: Any, patch: Any) -> None:
    merged = merge(base, patch, drop_nulls=True)
    for path in leaves(patch) if patch else ():
        value = find(patch, path)[1]
        if value is None:
            assert find(merged, path) == (False, None)
        elif value != {}:
            assert find(merged, path) == (True, value)


@given(CONFIGS)
def test_merging_a_configuration_with_itself_changes_nothing(values: Any) -> None:
    once = merge({}, values, drop_nulls=True)
    assert merge(once, once, drop_nulls=True) == once


@pytest.mark.parametrize("item", [5, None, [], {}, {"name": "x"}, {"id": 5}])
def test_an_item_without_an_id_is_refused(item: Any) -> None:
    with pytest.raises(ConfigError, match=r"llm_providers\.0"):
        by_id(("llm_providers",), [item])


def test_what_is_found_where() -> None:
    values = {"policy": {"retry": None}, "llm_providers": [{"id": "x", "models": ["a"]}]}
    assert find(values, ("policy", "retry", "interval")) == (True, None)
    assert find(values, ("policy", "cache")) == (False, None)
    assert find(values, ("llm_providers", "x", "models", 0)) == (True, ["a"])
    assert set(leaves(values)) == {
        ("policy", "retry"),
        ("llm_providers", "x", "id"),
        ("llm_providers", "x", "models"),
    }


@given(CONFIGS)
def test_in_an_index_the_same_is_found_at_the_same_paths(values: dict[str, Any]) -> None:
    index = indexed(values)
    assert list(leaves(index)) == list(leaves(values))
    for path in leaves(values):
        assert find(index, path) == (True, indexed(find(values, path)[1], path))
