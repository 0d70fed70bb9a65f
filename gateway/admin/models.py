"""The models: every name that is listed, who serves it, and at which price."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from gateway.admin.state import AdminState
from gateway.api import Prices
from gateway.catalog import Catalog, Pool, Target
from gateway.config.schema_clients import ResolvedAlias


def listing(state: AdminState) -> list[dict[str, Any]]:
    """Aliases, models and ``ID:MODEL``, each with what it stands for in the order of the configuration."""
    catalog, aliases = state.live.current.catalog, state.live.current.config.model_aliases
    found = []
    for name, pool in catalog.names().items():
        kind = _kind(pool, name in aliases)
        targets = _targets(catalog, aliases[name]) if kind == "alias" else []
        found.append({"name": name, "kind": kind, "targets": targets, "serves": _serves(pool.targets)})
    return found


def _targets(catalog: Catalog, alias: ResolvedAlias) -> list[dict[str, Any]]:
    """What an alias is set to, also where no provider is called so."""
    return [
        {"target": one.target, "weight": one.weight, "known": bool(catalog.named(one.target))}
        for one in alias
    ]


def _kind(pool: Pool, is_alias: bool) -> str:
    """An address names its provider, and wins over an alias of the same name."""
    if any(pool.name == f"{target.provider}:{target.model}" for target in pool.targets):
        return "address"
    return "alias" if is_alias else "model"


def _serves(targets: Iterable[Target]) -> list[dict[str, Any]]:
    """The keys of each provider and model at the same price together."""
    found: dict[tuple[str, str, Prices], list[Target]] = {}
    for target in targets:
        found.setdefault((target.provider, target.model, target.prices), []).append(target)
    return [
        {
            "provider": provider,
            "model": model,
            "keys": [target.key for target in same],
            "weight": round(sum(target.weight for target in same), 6),
            "prices": _prices(prices),
        }
        for (provider, model, prices), same in found.items()
    ]


def _prices(prices: Prices) -> dict[str, Any] | None:
    """US dollars per 1,000 tokens, and per unit; null where none is known, and for what has none itself."""
    return asdict(prices) if prices.known or prices.by_unit else None
