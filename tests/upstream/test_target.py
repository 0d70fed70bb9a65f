"""Tests of taking URLs apart."""

from __future__ import annotations

import pytest

from gateway.upstream.failure import FailureKind, UpstreamFailure
from gateway.upstream.target import Origin, parse


@pytest.mark.parametrize(
    ("url", "origin", "authority", "path"),
    [
        ("https://api.example.com/v1/chat", ("https", "api.example.com", 443), "api.example.com", "/v1/chat"),
        ("http://API.example.com", ("http", "api.example.com", 80), "api.example.com", "/"),
        ("http://h:8080/a?b=c&d=%20#fragment", ("http", "h", 8080), "h:8080", "/a?b=c&d=%20"),
        ("https://h:80/", ("https", "h", 80), "h:80", "/"),
        ("http://[::1]:9/x", ("http", "::1", 9), "[::1]:9", "/x"),
        ("http://h/m/gemini:generate?alt=sse", ("http", "h", 80), "h", "/m/gemini:generate?alt=sse"),
        ("http://h/a b/é", ("http", "h", 80), "h", "/a%20b/%C3%A9"),
        ('http://h/<x>"y', ("http", "h", 80), "h", "/%3Cx%3E%22y"),
    ],
)
def test_parts(url: str, origin: tuple[str, str, int], authority: str, path: str) -> None:
    assert parse(url) == (Origin(*origin), authority, path)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h/",
        "h/path",
        "http://",
        "http:///path",
        "http://h:port/",
        "http://h:99999/",
        "http://[::1/",
        "http://user:secret@h/",
        "http://h/\r\nX-Injected: 1",
        "http://h/\tx",
        "http://h\0/",
        "http://h\x7f/",
        "http://münchen.example/",
        "http://a b/",
        "http://h/\ud800",
    ],
)
def test_refused(url: str) -> None:
    with pytest.raises(UpstreamFailure) as caught:
        parse(url)
    assert caught.value.kind is FailureKind.INVALID
    assert "secret" not in str(caught.value)
    assert not caught.value.answered
