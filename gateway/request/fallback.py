"""Other providers to turn to when those of the model are spent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.catalog import Target
from gateway.request.resolve import fallback_targets
from gateway.request.transaction import Transaction


def fallbacks(tx: Transaction, targets: Sequence[Target]) -> Iterator[Sequence[Target]]:
    """The candidates of one other provider after the other; ``targets``: those of the model itself."""
    fallback = tx.runtime.config.policy.fallback
    if not fallback.enabled or fallback.max_providers < 1 or not targets:
        return
    catalog, model = tx.runtime.catalog, targets[0].model
    have = {target.service.id for target in targets}
    if fallback.providers:
        services = [catalog.services[name] for name in fallback.providers if name in catalog.services]
    else:
        services = list(catalog.serving(model))
    given = 0
    for service in services:
        serves = service in catalog.serving(model)
        name = model if serves else service.default_model
        if service.id in have or name is None or given >= fallback.max_providers:
            continue
        found = fallback_targets(tx, catalog.targets(service, name), asked=name == model)
        if found:
            given += 1
            yield found
