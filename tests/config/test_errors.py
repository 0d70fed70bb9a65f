"""What people get wrong, and what they are told: everything at once, at its place, without their secrets."""

from __future__ import annotations

import pytest

from gateway.config.problems import ConfigError
from tests.config.conftest import ECHO, Load


def errors(load: Load, text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(text, environ)
    return [str(error) for error in caught.value.errors]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: '2.0'", 'version: must be "1.0" (got "2.0") [line 2]'),
        ("servr: {}", 'servr: unknown setting; did you mean "server"? [line 2]'),
        ("server: {lisen: x}", 'server.lisen: unknown setting; did you mean "listen"? [line 2]'),
        ("server: []", "server: must be a mapping (name: value) (got an empty list) [line 2]"),
        (
            "server: {allow_anonymous: no}",
            'server.allow_anonymous: must be true or false (got "no") [line 2]',
        ),
        ("server: {max_body_mb: 0}", "server.max_body_mb: must be at least 1 (got 0) [line 2]"),
        (
            'server: {listen: "127.0.0.1:1", admin_listen: ":1"}',
            "server.admin_listen: is where server.listen listens: leave it out to serve both there,"
            " or name another port [line 2]",
        ),
        ("server: {tls: {cert_file: a}}", "server.tls.key_file: is required [line 2]"),
        (
            "server: {admin_api_key: 12345678}",
            "server.admin_api_key: must be text: put it in quotes (got …) [line 2]",
        ),
        (
            "logging: {level: warn}",
            'logging.level: must be "debug", "info", "warning" or "error";'
            ' did you mean "warning"? (got "warn") [line 2]',
        ),
        (
            "logging: {providers: [{type: webhok}]}",
            "logging.providers.0.type: there is no log sink of this name;"
            ' did you mean "webhook"? (got "webhok") [line 2]',
        ),
        (
            "logging: {providers: [{type: stdout}, {type: stdout}]}",
            "logging.providers.1.name: there is a sink of this name already; each must be unique [line 2]",
        ),
        (
            "storage: {runtime: {type: redis}}",
            "storage.runtime.addr: is required: where is the redis store? [line 2]",
        ),
        (
            "storage: {runtime: {type: http, addr: 'host:1'}}",
            "storage.runtime.addr: must be a URL that begins with http:// or https:// [line 2]",
        ),
        (
            "storage: {runtime: {typ: memory}}",
            'storage.runtime.typ: unknown setting; did you mean "type"? [line 2]',
        ),
        (
            "storage: {runtime: {type: mongo}}",
            "storage.runtime.type: there is no store of this name; there is: file, http, memory, redis"
            ' (got "mongo") [line 2]',
        ),
        (
            "policy: {algorithm: hybird}",
            "policy.algorithm: there is no algorithm of this name;"
            ' did you mean "hybrid"? (got "hybird") [line 2]',
        ),
        (
            "policy: {fallback: {providers: [ecko]}}",
            "policy.fallback.providers.0: no provider has this id;"
            ' did you mean "echo"? (got "ecko") [line 2]',
        ),
        (
            "policy: {hybrid_weights: {latency: 2}}",
            "policy.hybrid_weights.latency: must be at most 1 (got 2) [line 2]",
        ),
        (
            "api_keys: [{key: k, id: list}]",
            'api_keys.0.id: is reserved: choose another (got "list") [line 2]',
        ),
        ("api_keys: [{id: a}]", "api_keys.0.key: is required [line 2]"),
        (
            "api_keys: [{id: a, key: k}, {id: b, key: k}]",
            "api_keys.1.key: there is a client with this key already; each must be unique [line 2]",
        ),
        (
            "api_keys: [{id: a, key: k}, {id: a, key: l}]",
            "api_keys.1.id: there is a client of this id already; each must be unique [line 2]",
        ),
        (
            "api_keys: [{key: k, allowed_providers: ['*', eco]}]",
            "api_keys.0.allowed_providers.1: no provider has this id;"
            ' did you mean "echo"? (got "eco") [line 2]',
        ),
        (
            "model_aliases: {a: gpt-4o}",
            'model_aliases.a.0.target: must be PROVIDER_ID:MODEL or TYPE:MODEL (got "gpt-4o") [line 2]',
        ),
        (
            "model_aliases: {a: []}",
            "model_aliases.a: must hold at least one entry (got an empty list) [line 2]",
        ),
        (
            "model_aliases: {a: [{target: 'echo:x', weight: 0}]}",
            "model_aliases.a.0.weight: must be more than 0 (got 0) [line 2]",
        ),
    ],
)
def test_one_thing_wrong(load: Load, text: str, expected: str) -> None:
    assert errors(load, ECHO + text) == [expected]


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ("{type: openai}", "api_keys: is required: openai takes no request without a key"),
        ("{type: custom}", "base_url: is required: custom has no address of its own"),
        (
            "{type: opnai, api_keys: [k]}",
            'type: there is no provider of this name; did you mean "openai"? (got "opnai")',
        ),
        ("{type: echo, base_ulr: x}", 'base_ulr: unknown setting; did you mean "base_url"?'),
        (
            "{type: openai, api_keys: [{id: a, key: k}, {id: a, key: l}]}",
            "api_keys.1.id: there is a key of this id (or this very key) already; each must be unique",
        ),
        ("{type: openai, api_keys: sk-canary}", "api_keys: must be a list (got text)"),
        (
            "{type: openai, api_keys: [12345]}",
            "api_keys.0: must be a mapping (name: value) (got a single value)",
        ),
        (
            "{type: openai, api_keys: ['sk canary']}",
            "api_keys.0.key: holds a space, a line break or another character that cannot be in a key"
            " (got …)",
        ),
        (
            "{type: openai, api_keys: [{key: k, keey: sk-canary}]}",
            'api_keys.0.keey: unknown setting; did you mean "key"?',
        ),
        ("{type: openai, api_keys: ['${EMPTY}']}", "api_keys.0.key: is empty (got …)"),
        (
            "{type: groq, api_keys: ['']}",
            "api_keys.0.key: is empty; leave api_keys out for a server that wants none (got …)",
        ),
        (
            "{type: echo, base_url: 'https://me:canary@host'}",
            'base_url: must be a URL without user, query or fragment (got "https://…@host")',
        ),
        ("{type: echo, headers: {X-Key: 5}}", "headers.X-Key: must be text: put it in quotes (got …)"),
        (
            "{type: echo, limits: {req_per_min: '${CANARY}'}}",
            "limits.req_per_min: must be a whole number (got …)",
        ),
        ("{type: echo, pricing: {currency: EUR}}", 'pricing.currency: must be "USD" (got "EUR")'),
        (
            "{type: echo, pricing: {input_token_cost: -1}}",
            "pricing.input_token_cost: must be at least 0 (got -1)",
        ),
        ("{type: echo, models: [{pricing: {}}]}", "models.0.name: is required"),
        ("{type: echo, model: '${NOPE}'}", "model: the environment variable NOPE is not set"),
    ],
)
def test_one_thing_wrong_with_a_provider(load: Load, provider: str, expected: str) -> None:
    text = f"llm_providers:\n- {provider}\n"
    found = errors(load, text, EMPTY="", CANARY="canary")
    assert [error.rsplit(" [", 1)[0] for error in found] == [f"llm_providers.0.{expected}"]
    assert "canary" not in found[0]


@pytest.mark.parametrize("text", ["version: '1.0'", "llm_providers: []", "llm_providers:"])
def test_there_must_be_a_provider(load: Load, text: str) -> None:
    (error,) = errors(load, text)
    assert error.startswith("llm_providers: ")
    assert "at least one" in error


def test_everything_is_told_at_once_in_the_order_of_the_file(load: Load) -> None:
    text = """\
    server:
      workers: 0
      workers: 1
    llm_providers:
      - {id: a, type: openai, api_keys: [k], base_url: "ftp://x"}
      - {id: a, type: echo, delay: "${NOPE}"}
      - {type: nothing}
    api_keys:
      - {key: k, allowed_providers: [b]}
    policy: {algorithm: none, priority: none, fallback: {providers: [c]}}
    """
    assert [error.split(": ")[0] for error in errors(load, text)] == [
        "server.workers",
        "llm_providers.0.base_url",
        "llm_providers.1.delay",
        "llm_providers.1.id",
        "llm_providers.2.type",
        "api_keys.0.allowed_providers.0",
        "policy.priority",
        "policy.fallback.providers.0",
        "policy.algorithm",
    ]


def test_a_broken_provider_is_still_known_by_its_id(load: Load) -> None:
    text = "llm_providers: [{id: a, type: openai, api_keys: ['b c']}]\npolicy: {fallback: {providers: [a]}}\n"
    assert [error.split(": ")[0] for error in errors(load, text)] == ["llm_providers.0.api_keys.0.key"]
