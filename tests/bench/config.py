"""The gateway's configuration under test: everything on, and nothing ever refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_MODELS = {"openai": "gpt-bench", "claude": "claude-bench", "gemini": "gemini-bench"}
STREAM_MODELS = ("mock-paced", "mock-burst", "mock-short", "mock-idle")
ADMIN_KEY = "bench-admin-key"
_PLENTY = 1_000_000_000
_CLIENT_LIMITS = {"req_per_min": 100_000_000, "tokens_per_min": 100_000_000}


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a configuration is."""

    kinds: tuple[str, ...] = ("openai", "openai", "claude", "gemini")
    """The providers' types."""
    keys: int = 10
    """Keys of each provider: the size of the pool a request chooses from."""
    clients: int = 1000
    aliases: int = 4
    store: str = "memory"
    """``memory``, ``file``, or the address of a Redis."""
    workers: int = 1
    records: int = 0
    """Usage records of the last month that the ``file`` store begins with; with any, there is a dashboard."""


def client_key(number: int) -> str:
    return f"bench-{number:05d}"


def config(upstream: str, shape: Shape) -> dict[str, Any]:
    """A configuration whose providers are all at ``upstream``; the n-th alias is ``alias-n``."""
    providers = [
        _provider(f"p{number}", kind, upstream, shape.keys) for number, kind in enumerate(shape.kinds)
    ]
    return {
        "version": "1.0",
        "server": {
            "max_inflight": 8000,
            "workers": shape.workers,
            "webui": {"enabled": shape.records > 0},
            "admin_api_key": ADMIN_KEY,
        },
        "logging": {
            "level": "info",
            "file": {"enabled": True, "path": "./logs/bench.log"},
            "prometheus": {"enabled": True},
        },
        "storage": _storage(shape.store),
        "llm_providers": providers,
        "api_keys": [
            {"id": f"c{number}", "key": client_key(number), "limits": dict(_CLIENT_LIMITS)}
            for number in range(shape.clients)
        ],
        "model_aliases": {
            f"alias-{number}": f"{(p := providers[number % len(providers)])['id']}:{p['model']}"
            for number in range(shape.aliases)
        },
        "policy": {"algorithm": "hybrid", "priority": "balanced"},
    }


def _storage(store: str) -> dict[str, Any]:
    if store == "memory":
        return {"config": {"type": "memory"}, "runtime": {"type": "memory"}}
    if store == "file":
        return {}
    return {"runtime": {"type": "redis", "addr": store}}


def _provider(name: str, kind: str, upstream: str, keys: int) -> dict[str, Any]:
    return {
        "id": name,
        "type": kind,
        "base_url": upstream,
        "api_keys": [{"id": f"{name}-{key}", "key": f"secret-{name}-{key:04d}"} for key in range(keys)],
        "model": _MODELS[kind],
        "models": list(STREAM_MODELS) if name == "p0" else [],
        "pricing": {"input_token_cost": 0.002, "output_token_cost": 0.01},
        "limits": {
            "req_per_min": _PLENTY,
            "tokens_per_min": _PLENTY,
            "session_limit": _PLENTY,
            "session_type": "1h",
        },
    }
