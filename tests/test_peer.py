"""Where a request comes from, directly and through proxies that are trusted or not."""

from __future__ import annotations

from unittest.mock import Mock

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from gateway.peer import client_address, host_asked_for, host_name, is_secure

PROXIES = ("10.0.0.0/8", "fd00::/8")


def request(peer: object, **headers: str) -> web.Request:
    transport = Mock()
    facts = {"peername": peer}
    transport.get_extra_info.side_effect = lambda name, default=None: facts.get(name, default)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return make_mocked_request("GET", "/", headers={"host": "gw:2906", **named}, transport=transport)


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.7", None, "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),  # not a proxy of ours: it may say what it likes
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.66, 198.51.100.1", "198.51.100.1"),  # the first was the client's own word
        ("10.0.0.1", "192.0.2.66, 198.51.100.1, 10.9.9.9", "198.51.100.1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("fd00::1", "2001:db8::1", "2001:db8::1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("fe80::1%eth0", "198.51.100.1", "fe80::1"),
    ],
)
def test_address(peer: str, forwarded: str | None, address: str) -> None:
    headers = {} if forwarded is None else {"x_forwarded_for": forwarded}
    assert client_address(request((peer, 1), **headers), PROXIES) == address


def test_a_unix_socket_is_this_machine() -> None:
    assert client_address(request(""), ()) == "127.0.0.1"
    assert client_address(request("", x_forwarded_for="192.0.2.1"), ()) == "127.0.0.1"
    assert client_address(request("", x_forwarded_for="192.0.2.1"), ("127.0.0.1/32",)) == "192.0.2.1"


def test_who_has_gone_is_unknown() -> None:
    assert client_address(request(None), PROXIES) == "unknown"


@pytest.mark.parametrize(("peer", "believed"), [("10.0.0.1", True), ("203.0.113.7", False)])
def test_only_a_trusted_proxy_says_how_it_was_asked(peer: str, believed: bool) -> None:
    asked = request((peer, 1), x_forwarded_proto="https", x_forwarded_host="Gateway.example.com")
    assert is_secure(asked, PROXIES) is believed
    assert host_asked_for(asked, PROXIES) == ("gateway.example.com" if believed else "gw:2906")


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("gw", "gw"),
        ("GW.example.:2906", "gw.example"),
        ("127.0.0.1:2906", "127.0.0.1"),
        ("[::1]:2906", "::1"),
        ("[::1]", "::1"),
        ("localhost..", "localhost."),  # a name that there is not
        ("", ""),
    ],
)
def test_a_host_without_its_port(host: str, name: str) -> None:
    assert host_name(host) == name
