"""Addresses of Redis: every form, and what is wrong with the others."""

from __future__ import annotations

import pytest

from gateway_stores.redis import RedisStore
from gateway_stores.redis_address import Address, parse_address
from gateway_stores.redis_config import RedisConfigStore

GOOD = {
    "cache": Address("single", (("cache", 6379),)),
    "cache:6380": Address("single", (("cache", 6380),)),
    "[::1]:6380": Address("single", (("::1", 6380),)),
    "redis://cache/": Address("single", (("cache", 6379),)),
    "redis://cache:6380/3": Address("single", (("cache", 6380),), database=3),
    "redis://:p%40ss@cache": Address("single", (("cache", 6379),), password="p@ss"),
    "redis://me:pa:ss@cache": Address("single", (("cache", 6379),), username="me", password="pa:ss"),
    "rediss://cache?ssl_ca_certs=/etc/ca.pem": Address(
        "single", (("cache", 6379),), tls=True, ca_file="/etc/ca.pem"
    ),
    "redis+cluster://a,b:7000": Address("cluster", (("a", 6379), ("b", 7000))),
    "rediss+cluster://a,b": Address("cluster", (("a", 6379), ("b", 6379)), tls=True),
    "redis+sentinel://a,b:7000/main/2?sentinel_password=s": Address(
        "sentinel", (("a", 26379), ("b", 7000)), name="main", database=2, sentinel_password="s"
    ),
}


@pytest.mark.parametrize("text", GOOD)
def test_every_form(text: str) -> None:
    assert parse_address(text) == GOOD[text]


def test_settings_of_their_own_fill_in_what_the_address_lacks() -> None:
    found = parse_address("cache", "secret", 3)
    assert (found.password, found.database) == ("secret", 3)
    found = parse_address("redis://:own@cache/1", "secret", 3)
    assert (found.password, found.database) == ("own", 1)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "must be host"),
        ("http://hunter2", "must be host"),
        ("redis://", "must be host"),
        ("redis://a:hunter2", "must be host"),
        ("redis://a@b@hunter2:x", "must be host"),
        ("redis://a,hunter2", "several hosts"),
        ("a:0", "port"),
        ("a:65536", "port"),
        ("redis://a/hunter2", "database must be a number"),
        ("redis+sentinel://hunter2", "name of the master"),
        ("redis+cluster://a/2", "must be 0"),
        ("redis://:pass?hunter2=1@a", "option"),
    ],
)
def test_what_is_wrong_is_said_without_repeating_it(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        parse_address(text)
    assert "hunter2" not in str(caught.value)


def test_no_repr_has_the_password() -> None:
    address = "redis://me:hunter2@cache?sentinel_password=hunter2"
    stores = RedisStore(address, "hunter2"), RedisConfigStore(address, "hunter2")
    for value in (parse_address(address), *stores):
        assert "hunter2" not in repr(value)
        assert "hunter2" not in str(value)
