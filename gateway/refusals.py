"""Requests that are refused for their HTTP alone, before the application sees them, and in which words."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import orjson
from aiohttp import HttpVersion10, HttpVersion11
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import BadStatusLine, ContentEncodingError, HttpProcessingError, LineTooLong
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web import RequestPayloadError

from gateway.api.errors import ApiError
from gateway.dialects.spoken import dialect_at
from gateway.request_id import sane_request_id

_MUCH = 2**30
"""More bytes of a body than come at once: beyond as many a parser would pause the connection."""


def unacceptable(message: RawRequestMessage) -> ApiError | None:
    """What the parser lets pass but would be understood differently by others on the way."""
    if message.version != HttpVersion11 and message.version != HttpVersion10:
        return ApiError("http_version_not_supported", "Only HTTP/1.0 and HTTP/1.1 are spoken here.")
    if message.chunked and (
        message.version != HttpVersion11 or message.headers["transfer-encoding"].lower() != "chunked"
    ):
        return ApiError("not_implemented", "The only transfer coding is chunked, and only in HTTP/1.1.")
    if "expect" in message.headers and message.headers["expect"].lower() != "100-continue":
        return ApiError("expectation_failed", "Only 100-continue can be expected.")
    return None


def broken_http(exc: BaseException | None) -> ApiError:
    """What to tell the sender of ``exc``; nothing of the input is repeated."""
    if isinstance(exc, LineTooLong):
        if "bytearray" in exc.message:  # all by which the parser tells the target from a header
            return ApiError("uri_too_long", "The request line is longer than 8190 bytes.")
        return ApiError("headers_too_large", "A header is longer than 8190 bytes.")
    if isinstance(exc, ContentEncodingError):
        return ApiError("unsupported_media_type", "Only gzip and deflate content codings are understood.")
    text = getattr(exc, "message", "")
    if "headers" in text.lower() and ("many" in text.lower() or "large" in text.lower()):
        return ApiError("headers_too_large", "The request has too many headers.")
    if isinstance(exc, BadStatusLine) and "version" in text.lower():
        return ApiError("http_version_not_supported", "Only HTTP/1.0 and HTTP/1.1 are spoken here.")
    return ApiError("invalid_request", "The request is not valid HTTP/1.1.")


def undecodable(exc: BaseException | None, data: bytes) -> tuple[RawRequestMessage, StreamReader] | None:
    """The request in ``data`` at which the parser raised ``exc``, if that was for its content coding alone:
    its head, and a body that cannot be read, for the application to refuse. None also if it began before."""
    if not isinstance(exc, ContentEncodingError):
        return None
    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)
    parser = HttpRequestParser(protocol, loop, _MUCH, auto_decompress=False)
    try:
        messages, _, _ = parser.feed_data(data)
    except HttpProcessingError:
        return None
    for head, _ in messages:
        if head.compression not in (None, "gzip", "deflate"):  # others may follow it
            body = StreamReader(protocol, 1, loop=loop)
            body.set_exception(RequestPayloadError("the content coding is not known"))
            return head, body
    return None


def refusal(error: ApiError, message: RawRequestMessage | None, request_id: str | None = None) -> bytes:
    """The whole answer, in the dialect of the path in ``message``, if that is known, or as the admin API's
    errors are; the connection ends with it."""
    path = "" if message is None else message.url.path.removeprefix("/api")
    dialect = dialect_at(path)
    if request_id is None:
        request_id = sane_request_id(None if message is None else message.headers.get("x-request-id"))
    of_admin = {"error": error.message, "details": None} if path.startswith("/admin/") else None
    body = orjson.dumps(of_admin or dialect.error_body(error, request_id))
    own = "" if dialect.id_header is None else f"{dialect.id_header}: {request_id}\r\n"
    head = (
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nx-request-id: {request_id}\r\n{own}"
        f"x-coo-error-source: {error.source}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
