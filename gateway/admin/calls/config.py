"""Calls for the configuration."""

from __future__ import annotations

from functools import partial

import orjson
from aiohttp import web

from gateway.admin import config
from gateway.admin.body import read_object
from gateway.admin.errors import answer
from gateway.admin.query import Query
from gateway.admin.state import ADMIN, note_change


async def get_config(request: web.Request) -> web.Response:
    """The effective configuration, secrets masked, with its version; ``?sources=1``: and where it is from."""
    wanted = Query(request, "sources").choice("sources", ("0", "1"), "0") == "1"
    return answer(orjson.Fragment(config.encoded(request.app[ADMIN], with_sources=wanted)))


async def get_overlay(request: web.Request) -> web.Response:
    """What was set here, and why it is not in effect, if it is not."""
    return answer(config.overlay(request.app[ADMIN]))


async def post_config(request: web.Request) -> web.Response:
    """Merge a part of a configuration into what was set before."""
    patch = await read_object(request)
    note = partial(note_change, request)
    return answer(await config.change(request.app[ADMIN], patch, note, _revision(request)))


async def validate(request: web.Request) -> web.Response:
    """Whether a part of a configuration could be merged, and if not, why; nothing is changed."""
    return answer(await config.check(request.app[ADMIN], await read_object(request)))


async def put_policy(request: web.Request) -> web.Response:
    """Replace all that was set of the policy."""
    policy = await read_object(request)
    note = partial(note_change, request)
    return answer(await config.set_policy(request.app[ADMIN], policy, note, _revision(request)))


async def delete_overlay(request: web.Request) -> web.Response:
    """Take back all settings that were made here; clients made here and disabled keys stay."""
    note = partial(note_change, request)
    return answer(await config.revert_all(request.app[ADMIN], note, _revision(request)))


async def delete_setting(request: web.Request) -> web.Response:
    """Take back one setting, or all that lie in it."""
    where, note = request.match_info["path"], partial(note_change, request)
    return answer(await config.revert(request.app[ADMIN], where, note, _revision(request)))


async def post_reload(request: web.Request) -> web.Response:
    """Read all again, as SIGHUP does; 422 with every error if it cannot be used."""
    return answer(await config.reload(request.app[ADMIN]))


def _revision(request: web.Request) -> str | None:
    """What the call wants to change, and nothing that came later: its ``if-match``."""
    value = request.headers.get("if-match", "*").strip()
    return None if value == "*" else value.removeprefix("W/").strip('"')


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
