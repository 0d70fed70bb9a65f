"""Clients by their keys."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.api import Limits
from gateway.api.testing.algorithms import candidate
from gateway.clients import ANONYMOUS, Client, Clients, key_digest
from gateway_stores.memory import MemoryStore


def client(
    id_: str, key: str, models: tuple[str, ...] | None = None, expires_at: float | None = None
) -> Client:
    meter = MemoryStore().meter(f"client:{id_}", Limits())
    return Client(id_, key_digest(key), meter, models=models, expires_at=expires_at)


def clients(*configured: Client) -> Clients:
    return Clients(configured, client(ANONYMOUS, ""), open_to_all=False)


def test_a_client_is_found_by_its_whole_key_only() -> None:
    known = clients(client("a", "sk-a"), client("b", "sk-b"))
    found = known.find("sk-b", 0)
    assert found is not None and found.id == "b"
    for wrong in ("", "sk-", "sk-b ", "SK-B", "sk-\udcff"):
        assert known.find(wrong, 0) is None


def test_an_expired_key_is_as_good_as_none_from_that_second_on() -> None:
    known = clients(client("a", "sk-a", expires_at=100.0))
    assert known.find("sk-a", 99.9) is not None
    assert known.find("sk-a", 100.0) is None
    assert known.exist, "whoever had a client does not serve everyone when it expires"


def test_without_clients_there_are_none() -> None:
    assert not clients().exist


@pytest.mark.parametrize(
    ("patterns", "model", "may"),
    [
        (None, "anything", True),
        ((), "anything", False),
        (("gpt-4o",), "gpt-4o", True),
        (("gpt-4o",), "gpt-4o-mini", False),
        (("gpt-*",), "gpt-4o-mini", True),
        (("gpt-*",), "my-gpt-4o", False),
        (("*/llama-?",), "meta/llama-3", True),
        (("[ab]",), "a", True),
        (("GPT-*",), "gpt-4o", False),
    ],
)
def test_patterns_are_case_sensitive_globs_of_the_whole_name(
    patterns: tuple[str, ...] | None, model: str, may: bool
) -> None:
    assert client("a", "k", patterns).may_use(model) is may


@pytest.mark.parametrize(
    ("patterns", "name", "allowed"),
    [
        (None, None, ["a", "b"]),
        (("nice",), None, []),
        (("nice",), "nice", ["a", "b"]),
        (("m-*",), "nice", ["a", "b"]),
        (("b:*",), "nice", ["b"]),
        ((), "nice", []),
    ],
)
def test_a_model_is_allowed_by_its_name_its_address_or_the_name_it_is_asked_by(
    patterns: tuple[str, ...] | None, name: str | None, allowed: list[str]
) -> None:
    candidates = [replace(candidate(), provider=provider, model=f"m-{provider}") for provider in "abc"]
    one = replace(client("one", "k", patterns), providers=frozenset("ab"))
    assert [found.provider for found in one.allowed(candidates, name)] == allowed
