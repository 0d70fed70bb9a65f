"""Operations that are passed on to providers that speak them: nothing is translated or cached."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import partial
from math import ceil
from typing import Any

import orjson
from aiohttp import web

from gateway.api import Units
from gateway.dialects import openai_client
from gateway.dialects.replay import Assembly
from gateway.request.checks import check_common, invalid, missing, wrong_type
from gateway.request.dispatch import ask
from gateway.request.operations import Operation
from gateway.request.passed_answer import answering
from gateway.request.resolve import resolve
from gateway.request.serve import check_room, logged, read, take
from gateway.request.transaction import Transaction
from gateway.request.upload import receive
from gateway.routing.estimate import tokens_of_text

DEFAULT_MODERATION = "omni-moderation-latest"
"""What OpenAI moderates with if a request names no model."""
SOUND = 1000
"""Bytes that a second of sound has at least: speech in the most compact codecs."""
DOCUMENTS = 100
"""Documents that are ranked for one search unit (Cohere's figure)."""
PIECE = 500
"""Tokens of which each further piece of a document counts as another one (Cohere's figure)."""
_MIB = 1024 * 1024
_TRUTH = {"true": True, "1": True, "false": False, "0": False, "": False}


async def passed(tx: Transaction) -> web.StreamResponse:
    """Let a provider answer a JSON request as it is."""
    check_room(tx)
    body, raw = await read(tx)
    if tx.operation is MODERATIONS and body.get("model") is None:
        body["model"] = DEFAULT_MODERATION
    take(tx, body, raw)
    tx.units = _most_units(tx)
    if tx.operation is SPEECH:
        tx.stream = body.get("stream_format") == "sse"
    elif tx.operation is not IMAGES:
        tx.stream = False
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
        tx.operation.check({**dict.fromkeys(part.name for part in form.parts), **tx.body})
        tx.alias = tx.body["model"]
        tx.stream = _truth("stream", fields.get("stream", ""))
        texts = sum(part.end - part.start for part in form.parts if part.name != "file")
        tx.input_estimate = tokens_of_text(texts)
        tx.units = Units(audio_seconds=Decimal(form.size) / SOUND)
        return await ask(tx, resolve(tx), answering)
    finally:
        form.close()


def _most_units(tx: Transaction) -> Units:
    """What a JSON request may be billed by at most, beside tokens."""
    if tx.operation is IMAGES:
        return Units(images=tx.operation.dialect.answers(tx.body))
    if tx.operation is SPEECH:
        return Units(characters=len(tx.body["input"]))
    if tx.operation is RERANK:
        pieces = len(tx.body["documents"]) + tx.input_estimate // PIECE
        return Units(searches=ceil(pieces / DOCUMENTS))
    return Units()


def _truth(name: str, text: str) -> bool:
    value = _TRUTH.get(text.lower())
    if value is None:
        raise invalid(name, "must be true or false")
    return value


def check_moderation(body: Mapping[str, Any]) -> None:
    """Raises `ApiError` unless ``body`` is a moderation request."""
    check_common(body)
    _check_given("input", body.get("input"), (str, list))


def check_image(body: Mapping[str, Any]) -> None:
    """Raises `ApiError` unless ``body`` asks for an image."""
    check_common(body)
    _check_given("prompt", body.get("prompt"), (str,))


def check_speech(body: Mapping[str, Any]) -> None:
    """Raises `ApiError` unless ``body`` asks for speech."""
    check_common(body)
    _check_given("input", body.get("input"), (str,))


def check_rerank(body: Mapping[str, Any]) -> None:
    """Raises `ApiError` unless ``body`` asks for documents to be ranked."""
    check_common(body)
    _check_given("query", body.get("query"), (str, dict))
    _check_given("documents", body.get("documents"), (list,))
    top = body.get("top_n")
    if top is not None and (type(top) is not int or top < 1):
        raise invalid("top_n", "must be a whole number from 1")


_KINDS: Mapping[type, str] = {str: "a string", list: "an array", dict: "an object"}


def _check_given(name: str, value: Any, kinds: tuple[type, ...]) -> None:
    """Raises `ApiError` unless there is a value, of one of these kinds, and something in it."""
    if value is None:
        raise missing(name)
    if not isinstance(value, kinds):
        raise wrong_type(name, " or ".join(_KINDS[kind] for kind in kinds), value)
    if not value:
        raise invalid(name, "must not be empty")


def _operation(name: str, check: Callable[[Mapping[str, Any]], None], *, writes: bool = True) -> Operation:
    dialect = replace(openai_client.EMBEDDINGS, name=name, answers=_answers, assembly=partial(Assembly, name))
    return Operation(name, check, dialect, writes=writes, priced_by_tokens=False)


def _answers(body: Mapping[str, Any]) -> int:
    return body.get("n") or 1


MODERATIONS = _operation("moderations", check_moderation, writes=False)
IMAGES = _operation("images", check_image)
SPEECH = _operation("speech", check_speech)
TRANSCRIPTIONS = _operation("transcriptions", check_common)
TRANSLATIONS = _operation("translations", check_common)
RERANK = _operation("rerank", check_rerank, writes=False)

JSON_PATHS = {
    "/v1/moderations": MODERATIONS,
    "/v1/images/generations": IMAGES,
    "/v1/audio/speech": SPEECH,
    "/v1/rerank": RERANK,
}
UPLOAD_PATHS = {"/v1/audio/transcriptions": TRANSCRIPTIONS, "/v1/audio/translations": TRANSLATIONS}
