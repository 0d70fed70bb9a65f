"""Response heads, written in one piece."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import HttpVersion10, web

Headers = list[tuple[str, str]]

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
_STATUS_LINES[529] = "HTTP/1.1 529 Overloaded\r\n"
JSON = "application/json"


def head(
    request: web.Request,
    status: int,
    length: int,
    headers: Headers,
    *,
    close: bool = False,
    type_: str = JSON,
) -> bytes:
    """Status line and headers of an answer with a body of ``length`` bytes. Values must be free of
    control characters: they come from the configuration or were checked on their way in."""
    lines = [_STATUS_LINES.get(status) or f"HTTP/1.1 {status} Unknown\r\n"]
    lines.append(f"content-type: {type_}\r\ncontent-length: {length}\r\n")
    lines += [f"{name}: {value}\r\n" for name, value in headers]
    lines.append(_connection(request, close))
    return "".join(lines).encode("utf-8", "replace")


def stream_head(request: web.Request, headers: Headers) -> bytes:
    """The head of an event stream: chunked for HTTP/1.1, ended by the connection's end before it."""
    lines = [
        _STATUS_LINES[200],
        "content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n",
    ]
    lines.append("x-accel-buffering: no\r\n")
    if request.version != HttpVersion10:
        lines.append("transfer-encoding: chunked\r\n")
    lines += [f"{name}: {value}\r\n" for name, value in headers]
    lines.append(_connection(request, request.version == HttpVersion10))
    return "".join(lines).encode("utf-8", "replace")


def _connection(request: web.Request, close: bool) -> str:
    if close or not request.keep_alive:
        return "connection: close\r\n\r\n"
    return "connection: keep-alive\r\n\r\n" if request.version == HttpVersion10 else "\r\n"
