"""The configuration: shown, checked, changed, taken back, reloaded."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

from aiohttp import web

from gateway.admin.body import read_object
from gateway.admin.changing import apply, outcome
from gateway.admin.errors import AdminError, answer
from gateway.admin.query import Query
from gateway.admin.state import ADMIN, note_change
from gateway.config import client_edit
from gateway.config.managed import Managed
from gateway.config.masked import masked, masked_section, revealed
from gateway.config.overlay import Overlay, Shown, changes, hidden, sealed, sources, without
from gateway.config.problems import ConfigError, Path, Problem, render
from gateway.config.roster import KnownClient
from gateway.config.tree import CLIENTS, by_id, leaves, merge
from gateway.keys import LIVE
from gateway.reload import told
from gateway.runtime import Live
from gateway.vault import NoMasterKey

_CLIENT_KEY = "…"
_NOTED = 50
"""Paths that a line of the audit log names."""
_ONLY_IN_ANSWERS = ("config_version", "sources")


async def get_config(request: web.Request) -> web.Response:
    """The effective configuration, secrets masked, with its version; ``?sources=1``: and where it is from."""
    live = request.app[LIVE]
    wanted = Query(request, "sources").choice("sources", ("0", "1"), "0") == "1"
    values = shown(live).masked
    body = {**values, "config_version": live.current.version}
    if wanted:
        managed = live.managed.managed or Managed()
        made = [{**client.settings, "id": id_} for id_, client in managed.clients.items()]
        overlay = {**managed.overlay, "api_keys": made}
        body["sources"] = sources(values, live.managed.effective.values, overlay)
    return answer(body)


async def get_overlay(request: web.Request) -> web.Response:
    """What was set here, and why it is not in effect, if it is not."""
    live = request.app[LIVE]
    managed = live.managed.managed or Managed()
    body = {
        "overlay": hidden(managed.overlay, live.managed.vault),
        "disabled": sorted(managed.disabled),
        "errors": live.reload_errors,
        "trouble": live.managed.trouble,
    }
    return answer(body)


async def post_config(request: web.Request) -> web.Response:
    """Merge a part of a configuration into what was set before."""
    patch = await read_object(request)
    live = request.app[LIVE]
    touched: list[Path] = []
    result = await apply(request, lambda managed: patched(managed, patch, live, touched))
    note_change(request, *dict.fromkeys(render(path) for path in touched[:_NOTED]))
    return answer(outcome(request, result))


async def validate(request: web.Request) -> web.Response:
    """Whether a part of a configuration could be merged, and if not, why; nothing is changed."""
    patch = await read_object(request)
    managed = request.app[LIVE].managed
    try:
        wanted = patched(managed.managed or Managed(), patch, request.app[LIVE], [])
        await asyncio.to_thread(managed.combined, wanted.overlay)
    except ConfigError as error:
        return answer({"valid": False, "errors": told(error.errors)})
    except NoMasterKey as error:
        return answer({"valid": False, "errors": [{"path": "", "message": str(error)}]})
    return answer({"valid": True, "errors": []})


async def put_policy(request: web.Request) -> web.Response:
    """Replace all that was set of the policy."""
    policy = await read_object(request)
    set_ = {"policy": policy} if policy else {}
    result = await apply(
        request, lambda managed: replace(managed, overlay={**_less(managed.overlay, "policy"), **set_})
    )
    note_change(request, "policy")
    return answer(outcome(request, result))


async def delete_overlay(request: web.Request) -> web.Response:
    """Take back all settings that were made here; clients made here and disabled keys stay."""
    result = await apply(request, lambda managed: replace(managed, overlay={}))
    note_change(request, "overlay")
    return answer(outcome(request, result))


async def delete_setting(request: web.Request) -> web.Response:
    """Take back one setting, or all that lie in it: ``policy/retry``, ``llm_providers/openai-prod``."""
    where = request.match_info["path"]
    touched: list[str] = []
    result = await apply(request, lambda managed: _reverted(request, managed, where, touched))
    note_change(request, touched[-1])
    return answer(outcome(request, result))


async def post_reload(request: web.Request) -> web.Response:
    """Read all again, as SIGHUP does; 422 with every error if it cannot be used."""
    result = await request.app[ADMIN].reloader.reload("admin API")
    if result.errors:
        raise AdminError(422, "configuration invalid", details=result.errors)
    return answer(outcome(request, result))


def shown(live: Live) -> Shown:
    """The effective configuration, clients that were made here included, as it is shown and as it is."""
    config = live.current.config
    hidden_, actual = masked(config), revealed(config)
    clients = live.managed.clients
    if clients or config.api_keys is not None:
        keys = {client["id"]: client["key"] for client in hidden_["api_keys"] or ()}
        hidden_["api_keys"] = [_client(client, keys.get(id_)) for id_, client in clients.items()]
    return Shown(hidden_, actual)


def _client(client: KnownClient, masked_key: str | None) -> dict[str, Any]:
    values = masked_section(client.settings, CLIENTS)
    own = client.made_of is None
    return {**values, "key": masked_key if own else _CLIENT_KEY}


def patched(managed: Managed, patch: dict[str, Any], live: Live, touched: list[Path]) -> Managed:
    """The document with ``patch`` merged in; ``touched`` gets the paths of what that changes.

    Raises `ConfigError` and `NoMasterKey`. Only of clients it is said here whether what is set is valid.
    """
    patch = {name: value for name, value in patch.items() if name not in _ONLY_IN_ANSWERS}
    delta = changes(patch, shown(live))
    touched[:] = leaves(delta) if delta else []
    if "api_keys" in delta:
        managed = _clients_patched(managed, delta.pop("api_keys"), live)
    overlay = merge(managed.overlay, sealed(delta, live.managed.vault), drop_nulls=False)
    return replace(managed, overlay=overlay)


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


def _reverted(request: web.Request, managed: Managed, where: str, touched: list[str]) -> Managed:
    name, _, id_ = where.replace("/", ".", 1).partition(".")
    try:
        if name == "api_keys" and id_:
            touched.append(render((name, id_)))
            if managed.clients[id_].created_at is not None:
                raise AdminError(409, "This client was made here: DELETE /admin/v1/clients/{id} removes it.")
            return client_edit.revert(managed, id_)
        overlay, path = without(managed.overlay, where)
    except KeyError:
        raise AdminError(404, "Nothing is set there: GET /admin/v1/config/overlay shows what is.") from None
    touched.append(path)
    return replace(managed, overlay=overlay)


def _less(overlay: Overlay, name: str) -> Overlay:
    return {other: value for other, value in overlay.items() if other != name}


routes = (
    web.get("/v1/config", get_config),
    web.post("/v1/config", post_config),
    web.post("/v1/config/validate", validate),
    web.put("/v1/config/policy", put_policy),
    web.get("/v1/config/overlay", get_overlay),
    web.delete("/v1/config/overlay", delete_overlay),
    web.delete("/v1/config/overlay/{path:.+}", delete_setting),
    web.post("/v1/reload", post_reload),
)
