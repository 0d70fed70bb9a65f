"""Tests of request heads: what is written, and what is refused."""

from __future__ import annotations

import pytest

from gateway.api.provider import Upstream
from gateway.upstream.failure import FailureKind, UpstreamFailure
from gateway.upstream.head import CACHED, OURS, HeadWriter


def written(*headers: tuple[str, str], method: str = "POST", body: bytes = b"{}") -> bytes:
    writer = HeadWriter()
    request = Upstream(method, "http://h:81/v1/x?y=z", list(headers), body)
    return writer.write(request, writer.target(request.url))


def test_head() -> None:
    assert written(("Authorization", "Bearer key"), ("X-Title", "Café")) == (
        b"POST /v1/x?y=z HTTP/1.1\r\n"
        b"Host: h:81\r\n"
        b"Accept-Encoding: identity\r\n"
        b"Authorization: Bearer key\r\n"
        b"X-Title: Caf\xc3\xa9\r\n"
        b"Content-Length: 2\r\n"
        b"\r\n"
    )


def test_only_requests_that_have_a_body_speak_of_one() -> None:
    assert b"Content-Length: 0\r\n" in written(body=b"")
    assert b"Content-Length" not in written(method="GET", body=b"")
    assert b"Content-Length: 2\r\n" in written(method="GET")


@pytest.mark.parametrize(
    "header",
    [
        ("X", "a\r\nInjected: 1"),
        ("X", "a\nInjected: 1"),
        ("X", "a\rInjected: 1"),
        ("X", "a\0"),
        ("X", "\ud800"),
        ("X\r\nInjected", "1"),
        ("X ", "1"),
        ("X:", "1"),
        ("É", "1"),
        ("", "1"),
        *((name.title(), "1") for name in sorted(OURS)),
    ],
)
def test_refused_fields(header: tuple[str, str]) -> None:
    with pytest.raises(UpstreamFailure) as caught:
        written(("Authorization", "Bearer secret"), header)
    assert caught.value.kind is FailureKind.INVALID
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("method", ["", "GET /", "GET\r\n", "GÉT"])
def test_refused_methods(method: str) -> None:
    with pytest.raises(UpstreamFailure):
        written(method=method)


def test_a_refused_name_is_refused_again() -> None:
    writer = HeadWriter()
    request = Upstream("POST", "http://h/", [("Host", "elsewhere")], b"")
    for _ in range(2):
        with pytest.raises(UpstreamFailure):
            writer.write(request, writer.target(request.url))


def test_caches_are_bounded() -> None:
    writer = HeadWriter()
    first = writer.target("http://h/0")
    assert writer.target("http://h/0") is first
    for number in range(CACHED):
        writer.target(f"http://h/{number}")
    writer.target("http://h/one-more")
    assert writer.target("http://h/0") == first
    assert writer.target("http://h/0") is not first
