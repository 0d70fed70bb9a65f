"""Response heads, written in one piece."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus

from aiohttp import HttpVersion10, web

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
_STATUS_LINES[529] = "HTTP/1.1 529 Overloaded\r\n"
EVENTS = "text/event-stream; charset=utf-8"
_UNBUFFERED = "cache-control: no-cache\r\nx-accel-buffering: no\r\n"


def line(name: str, value: str) -> str:
    """One header line. Raises `ValueError` for a control character: whatever comes from outside was to be
    checked on its way in, and nobody but us ends a line."""
    text = f"{name}: {value}"
    if not text.isprintable():
        raise ValueError(f"the header {name!r} holds a control character")
    return f"{text}\r\n"


def head(
    request: web.Request,
    status: int,
    length: int,
    lines: str,
    *,
    close: bool = False,
    content_type: str = "application/json",
) -> bytes:
    """Status line and headers of an answer of ``length`` bytes; ``lines``: the rest of its headers."""
    start = _STATUS_LINES.get(status) or f"HTTP/1.1 {status} Unknown\r\n"
    end = _connection(request, close)
    text = f"{start}content-type: {content_type}\r\ncontent-length: {length}\r\n{lines}{end}"
    return text.encode("utf-8", "replace")


def stream_head(request: web.Request, lines: str, content_type: str = EVENTS) -> bytes:
    """The head of a stream, of events if nothing else is said: chunked for HTTP/1.1, ended by the
    connection's end before it."""
    old = request.version == HttpVersion10
    framing = "" if old else "transfer-encoding: chunked\r\n"
    start = f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\n{_UNBUFFERED}"
    return f"{start}{framing}{lines}{_connection(request, old)}".encode("utf-8", "replace")


def usd(nano: int) -> str:
    """Nano-dollars as a plain decimal number of dollars."""
    text = f"{nano / 10**9:.9f}" if abs(nano) < 2**53 else f"{nano // 10**9}.{nano % 10**9:09d}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def go_duration(seconds: float) -> str:
    """A duration as OpenAI's rate-limit headers write it: ``12ms``, ``1s``, ``6m0s``."""
    return f"{round(seconds * 1000)}ms" if seconds < 1 else _whole_seconds(round(seconds))


@lru_cache(4096)
def _whole_seconds(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _connection(request: web.Request, close: bool) -> str:
    if close or not request.keep_alive:
        return "connection: close\r\n\r\n"
    return "connection: keep-alive\r\n\r\n" if request.version == HttpVersion10 else "\r\n"
