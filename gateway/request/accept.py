"""Reading a request's body: as much as is allowed, as JSON, before anything else costs anything."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import orjson
from aiohttp import web
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from gateway.api import ApiError
from gateway.keys import LIVE
from gateway.server import Connection

BODY_DEADLINE = 60.0
"""Seconds in which the whole body must have arrived."""
MAX_DEPTH = 64
_TOO_DEEP = re.compile("recursion|depth", re.IGNORECASE)
"""In what orjson says of a document that nests deeper than it can read, in its versions."""
_OFF_LOOP = 1024 * 1024
"""Bodies beyond this are parsed in a thread, one at a time. While orjson reads one nothing else runs, in no
thread; between two of them the others have their turn."""


async def read_json(request: web.Request, max_bytes: int) -> tuple[dict[str, Any], bytes]:
    """The body as a JSON object, and its bytes (decoded).

    Raises `ApiError`: ``request_too_large``, ``unsupported_media_type``, ``request_timeout``,
    ``invalid_json``, ``json_too_deep`` or ``invalid_type``.
    """
    body = await read_body(request, max_bytes)
    if len(body) > _OFF_LOOP:
        async with request.app[LIVE].parsing:
            value = await asyncio.to_thread(parse, body)
    else:
        value = parse(body)
    if not isinstance(value, dict):
        raise ApiError("invalid_type", "The body must be a JSON object.")
    return value, body


async def read_body(request: web.Request, max_bytes: int) -> bytes:
    """The body's bytes, content coding undone. Raises `ApiError`."""
    check_coding(request)
    length = request.content_length
    if length is not None and length > max_bytes:
        raise _too_large(max_bytes)
    content = request.content
    try:
        if content.is_eof():
            body = _buffered(content)
        else:
            assert isinstance(request.protocol, Connection)
            request.protocol.ask_for_body()
            async with asyncio.timeout(BODY_DEADLINE):
                body = await _read(content, max_bytes)
    except TimeoutError:
        raise ApiError("request_timeout", f"The body did not arrive within {BODY_DEADLINE:.0f} s.") from None
    except (web.RequestPayloadError, ValueError) as exc:
        if request.transport is None:  # gone in the middle of it: the cancellation is on its way
            raise asyncio.CancelledError from exc
        raise ApiError("invalid_request", "The body does not match its content coding or length.") from exc
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    return body


def check_coding(request: web.Request) -> None:
    """Raises `ApiError` (``unsupported_media_type``) for a content coding that is not undone."""
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "deflate", ""):
        raise ApiError(
            "unsupported_media_type", "Only gzip and deflate content codings are understood, one at a time."
        )


def _buffered(content: StreamReader) -> bytes:
    """All of a body that has arrived whole. aiohttp's own `read_nowait` would resume a parser that never
    paused, at the price of a second pass through it."""
    if content is EMPTY_PAYLOAD:
        return b""
    if content.exception() is None and not content._protocol._reading_paused:
        pieces = content._buffer
        if len(pieces) == 1 and not content._buffer_offset:
            piece = pieces.popleft()
            content._size -= len(piece)
            return piece
    return content.read_nowait()


async def _read(content: Any, max_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := await content.readany():
        size += len(piece)
        if size > max_bytes:
            raise _too_large(max_bytes)
        pieces.append(piece)
    return b"".join(pieces)


def parse(body: bytes) -> Any:
    """JSON as RFC 8259 has it: no NaN, no lone surrogates; of a repeated key the last counts."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        if _TOO_DEEP.search(str(exc)):
            raise _too_deep() from exc
        raise ApiError("invalid_json", f"The body is not valid JSON: {_where(exc)}.") from None
    if _opens_more_than(body, MAX_DEPTH) and _deeper_than(value, MAX_DEPTH):
        raise _too_deep()
    return value


def _where(exc: orjson.JSONDecodeError) -> str:
    """What is wrong and where, without a piece of the body itself."""
    return f"{exc.msg} (line {exc.lineno}, column {exc.colno})"


def _opens_more_than(body: bytes, times: int) -> bool:
    """Whether there are so many brackets and braces at all. To search is faster than to count."""
    for opening in (b"[", b"{"):
        at = body.find(opening)
        while at >= 0:
            if not times:
                return True
            times -= 1
            at = body.find(opening, at + 1)
    return False


def _deeper_than(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) is dict or type(child) is list  # half of what isinstance takes
        ]
        if not level:
            return False
    return True


def _too_deep() -> ApiError:
    return ApiError("json_too_deep", f"The body nests more than {MAX_DEPTH} levels deep.")


def _too_large(max_bytes: int) -> ApiError:
    return ApiError("request_too_large", f"The body is larger than {max_bytes // 1024 // 1024} MiB.")
