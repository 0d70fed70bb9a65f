"""Who a request is from: keys, and the rules for coming without one."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from gateway.api import ApiError, Meter
from gateway.clients import Client, Clients, key_digest
from gateway.keys import LIVE
from gateway.request.authenticate import authenticate, is_loopback_peer, presented_key

LOCAL = ("127.0.0.1", 40000)
REMOTE = ("203.0.113.7", 40000)
Headers = Sequence[tuple[str, str]]


def client(name: str, key: str, expires_at: float | None = None) -> Client:
    return Client(name, key_digest(key), cast(Meter, None), expires_at=expires_at)


ANONYMOUS = Client("anonymous", b"", cast(Meter, None))
KNOWN = [client("one", "sk-one"), client("late", "sk-late", expires_at=1.0), client("odd", "sk-é")]


def request(
    headers: Headers = (),
    *,
    peer: Any = LOCAL,
    known: Sequence[Client] = (),
    everyone: bool = False,
    host: str = "localhost:2906",
) -> web.Request:
    """A request from ``peer`` to a gateway that has ``known`` clients."""
    app = web.Application()
    clients = Clients(known, ANONYMOUS, open_to_all=everyone)
    app[LIVE] = cast(Any, SimpleNamespace(current=SimpleNamespace(clients=clients)))
    transport = Mock(get_extra_info=lambda name: peer if name == "peername" else None)
    fields = CIMultiDict([("Host", host), *headers])
    return make_mocked_request("GET", "/v1/models", headers=fields, app=app, transport=transport)


def found(made: web.Request) -> str:
    """The client's id, or the code of the refusal."""
    try:
        return authenticate(made).id
    except ApiError as error:
        assert error.status == 401
        assert error.headers == {"www-authenticate": "Bearer"}
        return error.code


REFUSED = "invalid_api_key"


@pytest.mark.parametrize(
    ("headers", "who"),
    [
        ([("Authorization", "Bearer sk-one")], "one"),
        ([("authorization", "bearer   sk-one  ")], "one"),
        ([("x-api-key", "sk-one")], "one"),
        ([("api-key", "sk-one")], "one"),
        ([("x-goog-api-key", "sk-one")], "one"),
        ([("x-api-key", "sk-one"), ("Authorization", "Bearer sk-one")], "one"),
        ([("x-api-key", ""), ("Authorization", "Bearer sk-one")], "one"),
        ([("x-api-key", "sk-é")], "odd"),
        ([], REFUSED),
        ([("Authorization", "Bearer")], REFUSED),
        ([("Authorization", "Bearer ")], REFUSED),
        ([("Authorization", "Basic c2stb25lOg==")], REFUSED),
        ([("Authorization", "sk-one")], REFUSED),
        ([("x-api-key", "")], REFUSED),
        ([("Authorization", "Bearer sk-late")], REFUSED),
        ([("Authorization", "Bearer sk-onE")], REFUSED),
        ([("Authorization", "Bearer ' OR 1=1--")], REFUSED),
        ([("Authorization", "Bearer " + "x" * 8000)], REFUSED),
        ([("Authorization", "Bearer sk-one"), ("Authorization", "Bearer other")], REFUSED),
        ([("Authorization", "Bearer sk-one"), ("Authorization", "Basic c2stb25lOg==")], REFUSED),
        ([("Authorization", "Bearer sk-one"), ("x-api-key", "other")], REFUSED),
        ([("x-api-key", "sk-one"), ("x-api-key", "other")], REFUSED),
    ],
    ids=lambda value: repr(value)[:60],
)
@pytest.mark.parametrize("peer", [LOCAL, REMOTE], ids=["local", "remote"])
def test_a_key_says_who_it_is_from_anywhere(headers: Headers, who: str, peer: Any) -> None:
    assert found(request(headers, known=KNOWN, peer=peer)) == who


def test_why_a_key_is_refused_is_not_said() -> None:
    messages = set()
    for key in ("sk-late", "sk-none", ""):
        with pytest.raises(ApiError) as caught:
            authenticate(request([("Authorization", f"Bearer {key}")], known=KNOWN))
        messages.add(caught.value.message)
    assert len(messages) == 1


def test_keys_that_begin_alike_are_told_apart() -> None:
    many = [client(str(number), f"sk-{'x' * 20}{number}") for number in range(10_000)]
    clients = Clients(many, ANONYMOUS, open_to_all=False)
    for number in range(0, 10_000, 97):
        assert clients.find(f"sk-{'x' * 20}{number}", 0) is many[number]
    assert clients.find("sk-" + "x" * 20, 0) is None


def test_a_key_may_be_any_bytes() -> None:
    assert Clients(KNOWN, ANONYMOUS, open_to_all=False).find("\udcff", 0) is None


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.", "app.localhost:1", "127.0.0.1", "127.9.9.9:1", "[::1]:1"]
)
def test_without_clients_this_machine_is_served(host: str) -> None:
    assert found(request(host=host)) == "anonymous"
    assert found(request([("Authorization", "Bearer any")], host=host)) == "anonymous"


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "notlocalhost",
        "192.168.0.1",
        "[::2]",
        "0.0.0.0",
        "127.1",
    ],
)
def test_under_another_name_it_may_be_a_page_with_a_rebound_name(host: str) -> None:
    assert found(request(host=host)) == REFUSED


@pytest.mark.parametrize(
    "header",
    [
        ("Forwarded", "for=127.0.0.1"),
        ("Via", "1.1 proxy"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Proto", "http"),
        ("x-forwarded-port", "80"),
        ("X-Forwarded-Anything", ""),
        ("Origin", "https://evil.example"),
        ("Origin", "http://localhost.evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
    ],
    ids=": ".join,
)
def test_without_clients_nobody_is_served_through_a_proxy_or_a_foreign_page(header: tuple[str, str]) -> None:
    assert found(request([header])) == REFUSED
    assert found(request([header, ("Authorization", "Bearer any")])) == REFUSED


@pytest.mark.parametrize(
    "header",
    [("Origin", "http://localhost:3000"), ("Origin", "http://[::1]"), ("Sec-Fetch-Site", "same-origin")],
    ids=": ".join,
)
def test_a_page_of_this_machine_is_no_foreign_page(header: tuple[str, str]) -> None:
    assert found(request([header])) == "anonymous"


def test_without_clients_others_are_told_how_to_make_one() -> None:
    with pytest.raises(ApiError, match="api_keys"):
        authenticate(request(peer=REMOTE))


@pytest.mark.parametrize(
    ("peer", "loopback"),
    [
        (("127.0.0.1", 1), True),
        (("127.3.2.1", 1), True),
        (("::1", 1, 0, 0), True),
        (("::ffff:127.0.0.1", 1, 0, 0), True),
        (("fe80::1%eth0", 1, 0, 0), False),
        (("::ffff:203.0.113.7", 1, 0, 0), False),
        (REMOTE, False),
        (("not an address", 1), False),
        ("", True),
        (b"", True),
        (None, False),
    ],
    ids=str,
)
def test_loopback_and_unix_sockets_are_this_machine(peer: Any, loopback: bool) -> None:
    assert is_loopback_peer(request(peer=peer)) is loopback


@pytest.mark.parametrize("name", ["Authorization", "x-api-key"])
def test_an_empty_key_is_none(name: str) -> None:
    empty = [(name, "Bearer " if name == "Authorization" else "")]
    assert presented_key(request(empty)) is None
    assert found(request(empty, peer=REMOTE, everyone=True, known=KNOWN)) == "anonymous"


def test_allow_anonymous_serves_whoever_has_no_key() -> None:
    proxied: Headers = [("X-Forwarded-For", "203.0.113.9"), ("Origin", "https://evil.example")]
    assert found(request(proxied, peer=REMOTE, everyone=True, host="evil.example")) == "anonymous"
    assert found(request(peer=REMOTE, everyone=True, known=KNOWN)) == "anonymous"


@pytest.mark.parametrize("key", ["unknown", "sk-late"])
@pytest.mark.parametrize("everyone", [False, True])
def test_once_clients_exist_a_bad_key_is_refused_in_every_mode(key: str, everyone: bool) -> None:
    assert found(request([("x-api-key", key)], everyone=everyone, known=KNOWN)) == REFUSED


def test_an_expired_client_alone_closes_the_door() -> None:
    assert found(request(known=[KNOWN[1]])) == REFUSED


def test_no_key_is_none() -> None:
    assert presented_key(request()) is None
