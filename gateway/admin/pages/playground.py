"""The playground: a chat as one of the clients. With a script it streams, and goes on for several turns."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from gateway.admin import playground
from gateway.admin.access import on_admin_listener
from gateway.admin.errors import AdminError
from gateway.admin.pages.figures import count, ms, usd
from gateway.admin.pages.forms import FORM
from gateway.admin.pages.page import Page, Section
from gateway.admin.pages.render import whole
from gateway.admin.pages.show import shown
from gateway.admin.pages.snippets import curl, python
from gateway.admin.query import Query
from gateway.admin.state import ADMIN
from gateway.api import ApiError
from gateway.config.editing import scalar
from gateway.keys import LIVE, REQUEST_ID
from gateway.peer import host_asked_for, is_secure
from gateway.request.accept import read_json
from gateway.server import Direct

OFFERED = 500
"""Names of clients and models that a field offers; others can be typed."""
_FIELDS = ("client", "model", "system", "message", "temperature", "max_tokens")
_NUMBERS = ("temperature", "max_tokens")
_ELSEWHERE = "http://GATEWAY:2906"
"""The client API's address, as far as who looks at the admin listener knows it."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came of a question."""

    problem: str = ""
    text: str | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    headers: Sequence[tuple[str, str]] = ()
    ms: float | None = None

    @property
    def facts(self) -> list[tuple[str, str]]:
        """In figures."""
        usage, cost = self.usage, self.usage.get("cost")
        figures = [
            ("Tokens in", count(usage.get("prompt_tokens"))),
            ("Tokens out", count(usage.get("completion_tokens"))),
            ("Cost", "unknown" if cost is None else usd(round(cost * 10**9))),
        ]
        return [*(figures if usage else ()), ("Total", ms(self.ms))]


async def get_playground(request: web.Request) -> Page:
    """The form, filled in as the address says."""
    query = Query(request, "client", "model")
    live = request.app[LIVE]
    clients, models = playground.senders(live), [*live.current.catalog.names()]
    given = {
        **dict.fromkeys(_FIELDS, ""),
        "client": query.text("client") or next(iter(clients), ""),
        "model": query.text("model") or next(iter(models), ""),
    }
    return _page(request, given)


async def post_playground(request: web.Request) -> web.Response:
    """Ask once, and show the whole answer: for who has no script."""
    form = request[FORM]
    given = {name: form.get(name, "") for name in _FIELDS}
    began = time.monotonic()
    try:
        response = await playground.chat(request, given["client"], _body(given))
    except AdminError as error:
        return await whole(request, _page(request, given, _Answer(error.message), error.status))
    answer = _read(response, (time.monotonic() - began) * 1000)
    return await whole(request, _page(request, given, answer, response.status))


async def post_chat(request: web.Request) -> web.StreamResponse:
    """Pass a chat completion on for ``?client=``, and its answer back as it comes: for the page's script."""
    try:
        client = Query(request, "client").text("client") or ""
        limit = request.app[LIVE].current.config.server.max_body_mb * 1024 * 1024
        body, _ = await read_json(request, limit)
        return await playground.chat(request, client, body)
    except ApiError as error:
        return AdminError(error.status, error.message).response()
    except AdminError as error:
        return error.response()


def _body(given: Mapping[str, str]) -> dict[str, Any]:
    """What the form asks; a number that is none goes along as it is, and is refused where all are."""
    said = (("system", given.get("system")), ("user", given.get("message")))
    messages = [{"role": role, "content": content} for role, content in said if content]
    numbers = {name: scalar(given[name]) for name in _NUMBERS if given.get(name)}
    return {"model": given["model"], "messages": messages, **numbers}


def _read(response: web.StreamResponse, took: float) -> _Answer:
    assert isinstance(response, Direct)
    head, body = response.payload.split(b"\r\n\r\n", 1)
    lines = [line.partition(": ") for line in head.decode().split("\r\n")[1:]]
    found = orjson.loads(body)
    error = found.get("error")
    return _Answer(
        f"{response.status} {error['code']}: {error['message']}" if error else "",
        None if error else _text(found),
        found.get("usage") or {},
        [(name, value) for name, _, value in lines if name.startswith(("x-", "retry-"))],
        took,
    )


def _text(answer: Mapping[str, Any]) -> str:
    choices = answer.get("choices") or [{}]
    return str((choices[0].get("message") or {}).get("content") or "")


def _page(
    request: web.Request, given: Mapping[str, str], answer: _Answer | None = None, status: int = 200
) -> Page:
    live, base = request.app[ADMIN].live, _base(request)
    body = _body(given)
    values = {
        "clients": playground.senders(live)[:OFFERED],
        "models": [*live.current.catalog.names()][:OFFERED],
        "given": given,
        "answer": answer,
        "request_id": request[REQUEST_ID],
        "curl": curl(base, body),
        "python": python(base, body),
    }
    return Page("playground.html", values, status)


def _base(request: web.Request) -> str:
    """Where programs reach the gateway: under the address that the browser uses."""
    if on_admin_listener(request):
        return _ELSEWHERE
    trusted = request.app[LIVE].current.config.server.trusted_proxies
    scheme = "https" if is_secure(request, trusted) else "http"
    return f"{scheme}://{host_asked_for(request, trusted)}"


section = Section(
    "Playground",
    "/playground",
    (
        web.get("/playground", shown(get_playground)),
        web.post("/playground", post_playground),
        web.post("/playground/chat", post_chat),
    ),
)
