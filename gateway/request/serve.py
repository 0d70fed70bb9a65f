"""A client's request from its body to its answer: the handler behind every operation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.api import ApiError, StoreUnavailable
from gateway.content import Content
from gateway.keys import CLIENT, LIVE, REQUEST_ID
from gateway.redact import Redactor
from gateway.request.accept import read_json
from gateway.request.account import close_books
from gateway.request.authenticate import presented_key
from gateway.request.cache import ANSWERS
from gateway.request.checks import MAX_MODEL_NAME
from gateway.request.dispatch import ask
from gateway.request.ending import broken
from gateway.request.errors import draining, error_response, internal
from gateway.request.head import line, usd
from gateway.request.operations import Operation
from gateway.request.resolve import resolve
from gateway.request.transaction import Transaction
from gateway.routing.estimate import estimate_input

Work = Callable[[Transaction], Awaitable[web.StreamResponse]]


def handler(operation: Operation, work: Work | None = None) -> Handler:
    """The aiohttp handler of one operation; ``work`` answers it in place of the upstreams."""
    work = work or _dispatch

    async def handle(request: web.Request) -> web.StreamResponse:
        live = request.app[LIVE]
        tx = Transaction(request, live, live.current, request[CLIENT], operation, request[REQUEST_ID])
        live.in_flight += 1
        try:
            return await _serve(tx, work)
        finally:
            live.in_flight -= 1
            if live.draining and not live.in_flight:
                live.idle.set()

    return handle


def asking(body: dict[str, Any]) -> Work:
    """Let a provider answer what ``body`` asks, in place of the body that the HTTP request has. Its answer is
    given to nobody else."""

    async def work(tx: Transaction) -> web.StreamResponse:
        check_room(tx)
        take(tx, body, orjson.dumps(body))
        return await ask(tx, resolve(tx))

    return work


async def _serve(tx: Transaction, work: Work) -> web.StreamResponse:
    """The answer, or the error in its place; the record is written whatever happens."""
    try:
        return await work(tx)
    except ApiError as error:
        return _refuse(tx, error)
    except StoreUnavailable:
        message = "The gateway cannot check its limits at the moment. Try again shortly."
        return _refuse(tx, ApiError("store_unavailable", message, retry_after=1))
    except asyncio.CancelledError:
        if tx.http.transport is not None:  # the client is still there: it is us who stop
            return _refuse(tx, draining())
        if not tx.left:
            tx.leave()
            close_books(tx)
        raise
    except Exception:
        return _refuse(tx, internal(tx.request_id))


async def _dispatch(tx: Transaction) -> web.StreamResponse:
    """Let a provider answer, or the cache."""
    await take_request(tx)
    targets = resolve(tx)
    if tx.runtime.config.policy.cache.enabled:
        return await tx.http.app[ANSWERS].answer(tx, targets)
    return await ask(tx, targets)


def check_room(tx: Transaction) -> None:
    """Raises `ApiError` where no further request can be served."""
    if tx.live.in_flight > tx.live.max_inflight:
        raise ApiError("overloaded", "The gateway has as many requests as it can hold.", retry_after=1)


async def take_request(tx: Transaction) -> None:
    """Read and check what is asked. Raises `ApiError`."""
    check_room(tx)
    take(tx, *await read(tx))


async def read(tx: Transaction) -> tuple[dict[str, Any], bytes]:
    """The request's JSON body, and its bytes. Raises `ApiError`."""
    body, raw = await read_json(tx.http, tx.runtime.config.server.max_body_mb * 1024 * 1024)
    if tx.runtime.masked is not None:
        tx.content = logged(tx, raw)
    return body, raw


def logged(tx: Transaction, asked: bytes) -> Content:
    """For the request log: what was ``asked`` and, later, what is answered. Content must be logged at all."""
    key = Redactor(presented_key(tx.http) or "")
    return Content(asked, tx.operation.dialect.assembly, [*(tx.runtime.masked or ()), key])


def take(tx: Transaction, body: dict[str, Any], raw: bytes) -> None:
    """What is asked; ``raw``: the same as bytes."""
    tx.body = body
    tx.input_estimate = estimate_input(raw)
    operation = tx.operation
    if operation.default_model is not None and body.get("model") is None:
        body["model"] = operation.default_model
    if isinstance(model := body.get("model"), str):  # the record names it even if the request is refused
        tx.alias = model[:MAX_MODEL_NAME]
    operation.check(body)
    tx.asked = operation.asked_tokens(body)
    tx.units = operation.units(body, tx.input_estimate)
    if operation.streams(body):
        tx.stream = True
        tx.include_usage = operation.dialect.wants_usage(body)


def _refuse(tx: Transaction, error: ApiError) -> web.StreamResponse:
    if tx.relay is not None:
        return broken(tx, tx.relay, error)
    tx.fail(error, error.status)
    close_books(tx)
    lines = tx.headers()
    if tx.cost is not None:
        lines += line("x-coo-cost", usd(tx.cost))
    return error_response(tx.http, error, tx.operation.dialect, lines)
