"""The document in storage.config: what is written is read again, and what is damaged is refused."""

from __future__ import annotations

import pytest

from gateway.config.managed import (
    ClientKey,
    DamagedDocument,
    Managed,
    ManagedClient,
    parse,
    serialise,
)

WHOLE = Managed(
    {"policy": {"retry": None}},
    {"a": ManagedClient({"limits": {"req_per_min": 1}}, (ClientKey("ab" * 32, 5.0),), 1.0)},
    frozenset({"up/b", "up/a"}),
    True,
)


@pytest.mark.parametrize("managed", [Managed(), WHOLE])
def test_what_is_written_is_read_again(managed: Managed) -> None:
    assert parse(serialise(managed)) == managed


def test_the_same_content_is_the_same_bytes() -> None:
    assert serialise(parse(serialise(WHOLE))) == serialise(WHOLE)


def test_nothing_is_an_empty_document() -> None:
    assert parse(b"") == Managed()


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b"{}",
        b'{"format": 2}',
        b'{"format": 1, "overlay": 5}',
        b'{"format": 1, "overlay": {"llm_providers": [1]}}',
        b'{"format": 1, "overlay": {"llm_providers": [{"limits": {}}]}}',
        b'{"format": 1, "overlay": {"llm_providers": [{"id": "up", "api_keys": [5]}]}}',
        b'{"format": 1, "clients": {"a": 5}}',
        serialise(WHOLE)[:-9],
    ],
)
def test_what_is_damaged_is_refused(data: bytes) -> None:
    with pytest.raises(DamagedDocument, match=r"storage\.config"):
        parse(data)
