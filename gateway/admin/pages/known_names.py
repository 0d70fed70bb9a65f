"""The names that there are by now, to choose from where a field takes one."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.admin.state import AdminState

_SUGGESTED = 200
"""Names that a field offers at most."""
_LONGEST = 100
"""Characters of a name that is worth offering."""


def known_names(state: AdminState) -> dict[str, list[str]]:
    """Those of clients, providers, keys and models; ``name``: whatever a client may ask for."""
    catalog = state.live.current.catalog
    services, pools = catalog.services.values(), catalog.names()
    return {
        "client": _offered(state.live.managed.clients),
        "provider": _offered(catalog.services),
        "key": _offered(key.id for service in services for key in service.keys),
        "model": _offered(target.model for pool in pools.values() for target in pool.targets),
        "name": _offered(pools),
    }


def _offered(names: Iterable[str]) -> list[str]:
    return sorted({one for one in names if len(one) <= _LONGEST})[:_SUGGESTED]
