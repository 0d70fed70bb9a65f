"""Listen addresses."""

from __future__ import annotations

import pytest

from gateway.config.listen import Inherited, Listen, Tcp, Unix, parse


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
