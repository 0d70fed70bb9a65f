"""Chats of the playground: requests of a client, made by who is logged in to the dashboard."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from gateway.admin.errors import AdminError
from gateway.admin.state import ADMIN, note_target
from gateway.clients import ANONYMOUS, Client, Clients
from gateway.keys import CLIENT
from gateway.request.errors import quoted
from gateway.request.operations import CHAT
from gateway.request.serve import asking, handler
from gateway.runtime import Live


async def chat(request: web.Request, client: str, body: dict[str, Any]) -> web.StreamResponse:
    """Answer ``body``, a chat completion, as if the client with this id had sent it: within its limits and
    its budget, on its record. It goes past the cache: what is asked and answered is kept nowhere.

    Who may ask is not decided here but by the dashboard's border, and who is asked for by nothing that a
    request could say for itself. Raises `AdminError` for a client that is not served.
    """
    note_target(request, client=client)
    request[CLIENT] = _sender(request.app[ADMIN].live.current.clients, client)
    return await handler(CHAT, asking(body))(request)


def senders(live: Live) -> list[str]:
    """The ids of the clients that are served now."""
    clients, now = live.current.clients, time.time()
    return [id_ for id_ in (ANONYMOUS, *live.managed.clients) if clients.served(id_, now) is not None]


def _sender(clients: Clients, id_: str) -> Client:
    client = clients.served(id_, time.time())
    if client is not None:
        return client
    if clients.each(id_):
        raise AdminError(409, f"The client {quoted(id_)} has expired.")
    raise AdminError(404, f"There is no client {quoted(id_)}.")
