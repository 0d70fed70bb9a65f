"""From the model's name to the candidates this client may use."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import orjson

from gateway.api import ApiError, Demand
from gateway.catalog import Target
from gateway.request.errors import quoted
from gateway.request.transaction import Transaction
from gateway.routing.estimate import estimate_output


def resolve(tx: Transaction) -> Sequence[Target]:
    """The candidates; sets the transaction's pool and demand. Raises `ApiError` 403 or 404."""
    pool = tx.runtime.catalog.resolve(tx.alias)
    if pool is None or not pool.targets:
        raise ApiError(
            "model_not_found",
            f"The model {quoted(tx.alias)} does not exist here; GET /v1/models lists those that do.",
            param="model",
        )
    tx.pool = pool
    targets: Sequence[Target] = pool.within(tx.client.providers)
    if not targets:
        raise ApiError("provider_not_allowed", "This API key may not use the providers of this model.")
    targets = tx.client.allowed(targets, tx.alias)
    if not targets:
        raise ApiError("model_not_allowed", "This API key may not use this model.", param="model")
    targets = _priced(tx, targets)
    if not targets:
        raise ApiError(
            "price_unknown",
            "This API key has a budget, and what this model costs is not known here; only the gateway's "
            "operator can mend that.",
            param="model",
        )
    asked = tx.asked
    output = 0
    if tx.operation.writes:
        output = estimate_output(asked and asked[1], tx.live.memory.outputs.of(targets[0].label))
    dialect = tx.operation.dialect
    tx.demand = Demand(tx.input_estimate, output * dialect.answers(tx.body), pool.name)
    if tx.runtime.config.policy.affinity.enabled and dialect.opening is not None:
        begins = [tx.client.id, pool.name, dialect.opening(tx.body)]
        tx.demand.prefix = blake2b(orjson.dumps(begins), digest_size=16).hexdigest()
    return targets


def fallback_targets(tx: Transaction, targets: Sequence[Target], *, asked: bool) -> Sequence[Target]:
    """Those of another provider's targets that may stand in for the client's. ``asked``: they have the model
    that it asked for."""
    return _priced(tx, tx.client.allowed(targets, tx.alias if asked else None))


def _priced(tx: Transaction, targets: Sequence[Target]) -> Sequence[Target]:
    """A client with a budget is kept from what nobody knows the price of."""
    if not tx.client.meter.limits.budget:
        return targets
    return [target for target in targets if target.prices.known or target.prices.covers(tx.units)]
