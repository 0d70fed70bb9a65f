"""Provider keys that were added here, on top of the file: which they are, adding and removing them."""

from __future__ import annotations

from gateway.admin import config
from gateway.admin.changing import Note
from gateway.admin.errors import AdminError
from gateway.admin.state import AdminState
from gateway.config.schema_providers import identity
from gateway.config.tree import PROVIDERS, by_id, find
from gateway.runtime import Live


def added(live: Live, provider: str) -> frozenset[str]:
    """The ids of the keys of ``provider`` that are not in the file."""
    managed = live.managed.managed
    if managed is None or "llm_providers" not in managed.overlay:
        return frozenset()
    place = (*PROVIDERS, provider, "api_keys")
    here, there = (
        by_id(place, keys) if found else {}
        for found, keys in (
            find(values, place) for values in (managed.overlay, live.managed.effective.values)
        )
    )
    return frozenset(here.keys() - there.keys())


async def add(state: AdminState, provider: str, id: str, secret: str, note: Note) -> str:
    """Give a provider one more key, kept encrypted: its id, made from ``secret`` where ``id`` is empty.

    Raises `AdminError` 404 and 409, and as `config.change` does.
    """
    service = state.live.current.catalog.services.get(provider)
    if service is None:
        raise AdminError(404, "There is no such provider any more.")
    id = id or identity("k-", secret)
    if any(key.id == id for key in service.keys):
        raise AdminError(409, f"{provider} has a key with the id {id} already.")
    await config.change(
        state, {"llm_providers": [{"id": provider, "api_keys": [{"id": id, "key": secret}]}]}, note
    )
    return id


async def remove(state: AdminState, provider: str, id: str, note: Note) -> None:
    """Remove a key that was added here. Raises `AdminError` 409 for one of the file's, and as
    `config.revert` does."""
    if id not in added(state.live, provider):
        raise AdminError(409, "This key is in the configuration file: remove it there, or disable it here.")
    await config.revert(state, f"llm_providers/{provider}/api_keys/{id}", note)
