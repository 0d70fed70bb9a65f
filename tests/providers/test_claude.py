"""The claude provider: what goes out, and which reader takes what comes back."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.api import Call, Kind, Provider, Unsupported
from gateway_providers.claude import Claude

BODY = {"model": "alias", "messages": [{"role": "user", "content": "hi"}]}


def call(**fields: Any) -> Call:
    return Call("chat", "claude-sonnet-4-5", fields.pop("body", BODY), **fields)


def test_it_is_a_provider() -> None:
    provider: Provider = Claude()
    assert provider.operations == {"chat": "messages", "messages": "messages", "count_tokens": "messages"}


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://api.anthropic.com", "https://api.anthropic.com/v1/messages"),
        ("https://api.anthropic.com/v1/", "https://api.anthropic.com/v1/messages"),
        ("http://127.0.0.1:9/anthropic", "http://127.0.0.1:9/anthropic/v1/messages"),
    ],
)
def test_the_address(base_url: str, url: str) -> None:
    upstream = Claude(base_url=base_url).prepare(call(), "secret")
    assert (upstream.method, upstream.url) == ("POST", url)


def test_the_headers() -> None:
    upstream = Claude(anthropic_version="2026-10-21", anthropic_beta=("a", "b")).prepare(call(), "secret")
    assert upstream.headers == [
        ("x-api-key", "secret"),
        ("anthropic-version", "2026-10-21"),
        ("content-type", "application/json"),
        ("anthropic-beta", "a,b"),
    ]
    assert b"secret" not in upstream.body


def test_the_body() -> None:
    upstream = Claude(default_max_tokens=77).prepare(
        call(stream=True, include_usage=True, max_tokens=50), "secret"
    )
    assert orjson.loads(upstream.body) == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 50,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "stream": True,
    }
    assert Claude().prepare(call(body={**BODY, "seed": 1}), "secret").dropped == ("seed",)


@pytest.mark.parametrize("depth", [300, 5000])
def test_too_deep_a_request_is_refused(depth: int) -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"items": schema}
    function = {"name": "f", "strict": True, "parameters": schema}
    with pytest.raises(Unsupported):
        Claude().prepare(call(body={**BODY, "tools": [{"type": "function", "function": function}]}), "secret")


def test_readers() -> None:
    message = {
        "id": "m",
        "model": "m",
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
    }
    whole = Claude().reader(call())
    assert whole.feed(orjson.dumps(message)) == []
    (chunk,) = whole.finish()
    assert chunk.value is not None and chunk.value["choices"][0]["message"]["content"] == "hello"
    stream = Claude().reader(call(stream=True))
    (role,) = stream.feed(b"data: " + orjson.dumps({"type": "message_start", "message": message}) + b"\n\n")
    assert role.value is not None and role.value["choices"][0]["delta"]["role"] == "assistant"


def test_diagnosis() -> None:
    assert Claude().diagnose(401, {}, b"").kind is Kind.KEY


def native(operation: str = "messages", **fields: Any) -> Call:
    body = {"model": "alias", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "new": 1}
    return Call(operation, "claude-sonnet-4-5", body, dialect=operation, **fields)


def test_messages_pass_as_they_are() -> None:
    upstream = Claude(base_url="http://127.0.0.1:9").prepare(native(), "secret")
    assert upstream.url == "http://127.0.0.1:9/v1/messages"
    assert orjson.loads(upstream.body) == {**native().body, "model": "claude-sonnet-4-5"}
    assert upstream.dropped == ()


def test_counts_go_to_their_own_address() -> None:
    upstream = Claude(base_url="http://127.0.0.1:9").prepare(native("count_tokens"), "secret")
    assert upstream.url == "http://127.0.0.1:9/v1/messages/count_tokens"


def test_the_clients_version_and_features_are_asked_for() -> None:
    headers = {"anthropic-version": "2026-10-21", "anthropic-beta": "b, c,,b"}
    upstream = Claude(anthropic_beta=("a", "b")).prepare(native(headers=headers), "secret")
    assert dict(upstream.headers)["anthropic-version"] == "2026-10-21"
    assert dict(upstream.headers)["anthropic-beta"] == "a,b,c"
