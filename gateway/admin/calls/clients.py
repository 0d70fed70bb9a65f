"""Calls for the clients."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from gateway.admin import clients
from gateway.admin.body import read_object
from gateway.admin.client_list import SORTS, Wanted, find
from gateway.admin.errors import answer
from gateway.admin.filters import RANGE, read_range
from gateway.admin.query import Query
from gateway.admin.state import ADMIN, note_change

MAX_LIMIT = 1000


async def post_client(request: web.Request) -> web.Response:
    """Make a client. Its key is in the answer to this call, and nowhere else."""
    body = await read_object(request)
    made = await clients.create(request.app[ADMIN], body, partial(note_change, request))
    return answer(made, 201, {"location": f"{request.path}/{made['id']}"})


async def list_clients(request: web.Request) -> web.Response:
    """Every client."""
    Query(request)
    return answer({"clients": await clients.listing(request.app[ADMIN])})


async def list_usage(request: web.Request) -> web.Response:
    """Every client, or those asked for, with what it used, in all or in the time asked for, and how its
    windows stand."""
    query = Query(request, "search", "sort", "after", "limit", *RANGE)
    wanted = Wanted(
        query.text("search") or "",
        query.choice("sort", SORTS, "id"),
        query.text("after"),
        query.whole("limit", 1, MAX_LIMIT),
    )
    state = request.app[ADMIN]
    found = await find(state, wanted, await clients.used_if_known(state, read_range(query)))
    return answer({"clients": found.clients, "matching": found.matching, "next": found.next})


async def get_client(request: web.Request) -> web.Response:
    """One client, as `list_usage` has it."""
    span = read_range(Query(request, *RANGE))
    return answer(await clients.one(request.app[ADMIN], request.match_info["id"], span))


async def put_client(request: web.Request) -> web.Response:
    """Change what the body holds of a client, and leave the rest."""
    id_, body = request.match_info["id"], await read_object(request)
    return answer(await clients.change(request.app[ADMIN], id_, body, partial(note_change, request)))


async def delete_client(request: web.Request) -> web.Response:
    """Remove a client that was made here. Its keys are refused from now on."""
    id_ = request.match_info["id"]
    await clients.remove(request.app[ADMIN], id_, partial(note_change, request))
    return answer({"status": "ok", "id": id_})


async def post_rotate(request: web.Request) -> web.Response:
    """Give a client another key, shown in the answer to this call only; the old ones end after ``grace``."""
    id_, body = request.match_info["id"], await read_object(request, optional=True)
    return answer(await clients.rotate(request.app[ADMIN], id_, body, partial(note_change, request)))


routes = (
    web.post("/v1/clients", post_client),
    web.get("/v1/clients", list_usage),
    web.get("/v1/clients/list", list_clients),
    web.get("/v1/clients/{id}", get_client),
    web.put("/v1/clients/{id}", put_client),
    web.delete("/v1/clients/{id}", delete_client),
    web.post("/v1/clients/{id}/rotate", post_rotate),
)
