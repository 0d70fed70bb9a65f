"""Operations that are passed on to providers that speak them: nothing is translated or cached."""

from __future__ import annotations

import time
from decimal import Decimal

import orjson
from aiohttp import web

from gateway.api import Units
from gateway.request.checks import MAX_MODEL_NAME, invalid
from gateway.request.dispatch import ask
from gateway.request.passed_answer import answering
from gateway.request.resolve import resolve
from gateway.request.serve import check_room, logged, take_request
from gateway.request.transaction import Transaction
from gateway.request.upload import receive
from gateway.routing.estimate import tokens_of_text

SOUND = 1000
"""Bytes that a second of sound has at least: speech in the most compact codecs."""
_MIB = 1024 * 1024
_TRUTH = {"true": True, "1": True, "false": False, "0": False, "": False}


async def passed(tx: Transaction) -> web.StreamResponse:
    """Let a provider answer a JSON request as it is."""
    await take_request(tx)
    return await ask(tx, resolve(tx), answering)


async def passed_upload(tx: Transaction) -> web.StreamResponse:
    """Let a provider answer a multipart request as it is."""
    check_room(tx)
    began = time.monotonic()
    try:
        form, fields = await receive(tx.http, tx.runtime.config.server.max_upload_mb * _MIB)
    finally:
        tx.upload_seconds = time.monotonic() - began
    try:
        tx.upload = form
        tx.body = {name: fields[name] for name in ("model", "response_format") if name in fields}
        if tx.runtime.masked is not None:
            tx.content = logged(tx, orjson.dumps(tx.body))
        tx.alias = tx.body.get("model", "")[:MAX_MODEL_NAME]
        tx.operation.check({**dict.fromkeys(part.name for part in form.parts), **tx.body})
        tx.stream = _truth("stream", fields.get("stream", ""))
        texts = sum(part.end - part.start for part in form.parts if part.name != "file")
        tx.input_estimate = tokens_of_text(texts)
        tx.units = Units(audio_seconds=Decimal(form.size) / SOUND)
        return await ask(tx, resolve(tx), answering)
    finally:
        form.close()


def _truth(name: str, text: str) -> bool:
    value = _TRUTH.get(text.lower())
    if value is None:
        raise invalid(name, "must be true or false")
    return value
