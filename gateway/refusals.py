"""Requests that are refused for their HTTP alone, before the application sees them, and in which words."""

from __future__ import annotations

from aiohttp import HttpVersion10, HttpVersion11
from aiohttp.http_exceptions import BadStatusLine, ContentEncodingError, LineTooLong
from aiohttp.http_parser import RawRequestMessage

from gateway.api.errors import ApiError


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
