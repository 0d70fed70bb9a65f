"""What a patch of the configuration makes of the document that keeps what is set here."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway.admin.config_view import both
from gateway.admin.errors import AdminError
from gateway.config import client_edit
from gateway.config.managed import Managed
from gateway.config.overlay import Overlay, without
from gateway.config.overlay_patch import changes
from gateway.config.overlay_secrets import sealed
from gateway.config.problems import ConfigError, Path, Problem, render
from gateway.config.roster import in_file, of_file
from gateway.config.tree import CLIENTS, PROVIDERS, by_id, find, leaves, merge
from gateway.reload import restart_required
from gateway.runtime import Live

_VERSION = "config_version"
"""A patch that has it is an edited answer: values that are as they were shown are not meant to be set."""
_ONLY_IN_ANSWERS = (_VERSION, "sources")


def patched(managed: Managed, patch: dict[str, Any], live: Live, touched: list[Path]) -> Managed:
    """The document with ``patch`` merged in; ``touched`` gets the paths of what that changes.

    Raises `ConfigError` and `NoMasterKey`. Only of clients it is said here whether what is set is valid.
    """
    waiting = () if _VERSION in patch else _waiting(live)
    patch = {name: value for name, value in patch.items() if name not in _ONLY_IN_ANSWERS}
    now = both(live.current.config, live.managed.clients if "api_keys" in patch else None)
    delta = changes(patch, now, waiting)
    touched[:] = leaves(delta) if delta else []
    if "api_keys" in delta:
        managed = _clients_patched(managed, delta.pop("api_keys"), live)
    overlay = merge(managed.overlay, sealed(delta, live.managed.vault), drop_nulls=False)
    return replace(managed, overlay=overlay)


def _waiting(live: Live) -> list[Path]:
    """What waits for a restart: there the configuration as it is shown is not all that is set."""
    return [
        tuple(path.split("."))
        for path in restart_required(live.current.config, live.managed.effective.config)
    ]


def _clients_patched(managed: Managed, items: Any, live: Live) -> Managed:
    if not isinstance(items, list):
        raise ConfigError(
            [Problem("api_keys", None, "must be a list; DELETE /admin/v1/clients/ID removes a client")]
        )
    file = live.managed.effective
    for id_, item in by_id(CLIENTS, items).items():
        try:
            if id_ in managed.clients or id_ in file.clients:
                managed = client_edit.change(managed, file, id_, item)
            else:
                managed = client_edit.create(managed, file, item, time.time())
        except ConfigError as error:
            at = render((*CLIENTS, id_))
            raise ConfigError([replace(one, path=f"{at}.{one.path}") for one in error.errors]) from None
        except client_edit.Taken as error:
            raise ConfigError([Problem(render((*CLIENTS, id_, "key")), None, str(error))]) from None
    return managed


def reverted(managed: Managed, where: str, touched: list[str], file: Mapping[str, Any]) -> Managed:
    """The document without what was set at ``where`` on top of ``file``; ``touched`` gets its path.
    Raises `AdminError`."""
    name, _, id_ = where.replace("/", ".", 1).partition(".")
    try:
        if name == "api_keys" and id_:
            touched.append(render((name, id_)))
            if id_ in managed.clients and id_ not in of_file(managed, in_file(file)):
                raise AdminError(409, "This client was made here: DELETE /admin/v1/clients/{id} removes it.")
            return client_edit.revert(managed, id_)
        overlay, path = without(managed.overlay, where)
    except KeyError:
        raise AdminError(404, "Nothing is set there: GET /admin/v1/config/overlay shows what is.") from None
    touched.append(path)
    return with_overlay(managed, overlay, file)


def with_overlay(managed: Managed, overlay: Overlay, file: Mapping[str, Any]) -> Managed:
    """The document with less set on top of ``file``; keys that are gone with it are not disabled any more."""
    gone = {
        name
        for name in managed.disabled
        if _has(managed.overlay, name) and not (_has(overlay, name) or _has(file, name))
    }
    return replace(managed, overlay=overlay, disabled=managed.disabled - gone)


def _has(values: Mapping[str, Any], name: str) -> bool:
    """Whether a provider's key, ``PROVIDER_ID/KEY_ID``, stands in ``values``; that of a provider without any
    stands where it does."""
    provider, _, key = name.partition("/")
    place = (*PROVIDERS, provider)
    listed, _ = find(values, (*place, "api_keys"))
    return find(values, (*place, "api_keys", key) if listed else place)[0]
