"""Listen addresses."""

from __future__ import annotations

import pytest

from gateway.config.listen import Inherited, Listen, Tcp, Unix, clash, parse


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (":2906", Tcp(None, 2906)),
        ("127.0.0.1:0", Tcp("127.0.0.1", 0)),
        ("[::1]:80", Tcp("::1", 80)),
        ("gateway.example.com:65535", Tcp("gateway.example.com", 65535)),
        ("unix:/run/coo.sock", Unix("/run/coo.sock")),
        ("fd://", Inherited()),
    ],
)
def test_addresses(text: str, where: Listen) -> None:
    assert parse(text) == where


@pytest.mark.parametrize(
    "text", ["", "2906", ":", ":65536", ":-1", "a:b", "::1:80", "[::1]", "unix:", "fd://3", "a b:1"]
)
def test_no_addresses(text: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        parse(text)


@pytest.mark.parametrize(
    ("one", "other", "clashing"),
    [
        (":2906", ":2906", True),
        (":2906", "127.0.0.1:2906", True),
        ("0.0.0.0:2906", "127.0.0.1:2906", True),
        ("[::]:2906", "[::1]:2906", True),
        ("localhost:2906", "localhost:2906", True),
        ("unix:/run/a", "unix:/run/a", True),
        ("[::]:2906", "127.0.0.1:2906", False),
        ("0.0.0.0:2906", "a.example:2906", False),
        ("127.0.0.1:2906", "127.0.0.2:2906", False),
        (":2906", ":2907", False),
        ("127.0.0.1:0", "127.0.0.1:0", False),
        (":2906", "unix:/run/a", False),
    ],
)
def test_addresses_of_which_one_is_too_many(one: str, other: str, clashing: bool) -> None:
    assert clash(parse(one), parse(other)) is clash(parse(other), parse(one)) is clashing
