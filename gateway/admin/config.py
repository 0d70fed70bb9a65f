"""The configuration: shown, checked, changed, taken back, reloaded."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from gateway.admin.changing import Note, apply, outcome, revision_of
from gateway.admin.config_view import HASHED_KEY, as_shown
from gateway.admin.difference import change_of
from gateway.admin.errors import AdminError, encode
from gateway.admin.patching import patched, reverted, with_overlay
from gateway.admin.state import AdminState
from gateway.config.managed import Managed, ManagedClient
from gateway.config.overlay import sources
from gateway.config.overlay_secrets import hidden
from gateway.config.problems import ConfigError, Path, render
from gateway.config.roster import of_file
from gateway.reload import told
from gateway.vault import NoMasterKey

_NOTED = 50
"""Paths that a line of the audit log names."""


def encoded(state: AdminState, *, with_sources: bool) -> bytes:
    """What is `effective`, in JSON, made once for each version: of clients there may be thousands."""
    live, managed = state.live, state.live.managed
    made_of = (live.current.version, live.current.config, managed.clients, managed.managed, managed.effective)
    name = "sources" if with_sources else "config"
    return state.kept.get(name, made_of, lambda: encode(effective(state, with_sources=with_sources)))


def effective(state: AdminState, *, with_sources: bool = False, with_clients: bool = True) -> dict[str, Any]:
    """The effective configuration, secrets masked, with its version, and where each value is from."""
    live = state.live
    values = as_shown(live.current.config, live.managed.clients if with_clients else None)
    body = {**values, "config_version": live.current.version}
    if with_sources:
        managed = live.managed.managed or Managed()
        made = {id_: _set_of(id_, client) for id_, client in managed.clients.items()}
        set_here = {**managed.overlay, "api_keys": made}
        body["sources"] = sources(values, live.managed.effective.values, set_here)
    return body


def _set_of(id_: str, client: ManagedClient) -> dict[str, Any]:
    """What was set of a client, a key that it was given among it."""
    own_id = {} if client.created_at is None else {"id": id_}
    own_key = {"key": HASHED_KEY} if client.keys else {}
    return {**client.settings, **own_id, **own_key}


def overlay(state: AdminState) -> dict[str, Any]:
    """What was set here, clients of the file among it, and why it is not in effect, if it is not.
    ``revision`` names the configuration as it is, for a change that is to be made to nothing else."""
    live = state.live
    managed = live.managed.managed or Managed()
    return {
        "overlay": hidden(managed.overlay, live.managed.vault),
        "clients": {
            id_: _set_of(id_, client)
            for id_, client in of_file(managed, live.managed.effective.clients).items()
        },
        "disabled": sorted(managed.disabled),
        "errors": live.reload_errors,
        "trouble": live.managed.trouble,
        "revision": revision_of(live, managed),
    }


async def change(
    state: AdminState, patch: dict[str, Any], note: Note, revision: str | None = None
) -> dict[str, Any]:
    """Merge a part of a configuration into what was set before. Raises as `apply` does."""
    touched: list[Path] = []
    result = await apply(
        state, lambda managed: patched(managed, patch, state.live, touched), revision=revision
    )
    for path in dict.fromkeys(render(path) for path in touched[:_NOTED]):
        note(path)
    return outcome(state, result)


async def check(state: AdminState, patch: dict[str, Any]) -> dict[str, Any]:
    """Whether a part of a configuration could be merged, and if not, why; nothing is changed. If it could,
    ``changes`` has what it would change (path, before and after, secrets masked), ``restart_required`` what
    would wait for a restart, ``revision`` what it would be changed in."""
    live = state.live
    managed = live.managed.managed or Managed()
    try:
        wanted = patched(managed, patch, live, [])
        changes, config = await asyncio.to_thread(change_of, live, wanted)
    except ConfigError as error:
        return {"valid": False, "errors": told(error.errors)}
    except NoMasterKey as error:
        return {"valid": False, "errors": [{"path": "", "message": str(error)}]}
    return {
        "valid": True,
        "errors": [],
        "changes": changes,
        "restart_required": state.reloader.would_wait(config),
        "revision": revision_of(live, managed),
    }


async def set_policy(
    state: AdminState, policy: dict[str, Any], note: Note, revision: str | None = None
) -> dict[str, Any]:
    """Replace all that was set of the policy. Raises as `apply` does."""
    set_ = {"policy": policy} if policy else {}

    def replaced(managed: Managed) -> Managed:
        others = {name: value for name, value in managed.overlay.items() if name != "policy"}
        return replace(managed, overlay={**others, **set_})

    result = await apply(state, replaced, revision=revision)
    note("policy")
    return outcome(state, result)


async def revert_all(state: AdminState, note: Note, revision: str | None = None) -> dict[str, Any]:
    """Take back all settings that were made here; clients made here stay, and so do disabled keys, but for
    those that are gone with it. Raises as `apply` does."""
    file = state.live.managed.effective.values
    result = await apply(state, lambda managed: with_overlay(managed, {}, file), revision=revision)
    note("overlay")
    return outcome(state, result)


async def revert(state: AdminState, where: str, note: Note, revision: str | None = None) -> dict[str, Any]:
    """Take back one setting, or all that lie in it: ``policy/retry``, ``llm_providers/openai-prod``.
    Raises as `apply` does, and `AdminError` 404 where nothing is set."""
    touched: list[str] = []
    file = state.live.managed.effective.values
    result = await apply(state, lambda managed: reverted(managed, where, touched, file), revision=revision)
    note(touched[-1])
    return outcome(state, result)


async def reload(state: AdminState) -> dict[str, Any]:
    """Read all again, as SIGHUP does. Raises `AdminError` 422 with every error if it cannot be used, and 503
    if nobody reads the file and nothing else has changed."""
    result = await state.reloader.reload("admin API")
    if result.errors:
        raise AdminError(422, "configuration invalid", details=result.errors)
    if result.unread and not result.changed:
        raise AdminError(503, "The supervising process does not answer: the file was not read again.")
    return outcome(state, result)
