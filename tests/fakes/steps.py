"""What a `NastyServer` can do to a client: single steps, and the sequences tests ask for most."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterable, Mapping
from http import HTTPStatus

from tests.fakes.chat import chat_answer, chat_stream_events, error_body
from tests.fakes.nasty import Peer, Step

LAST_CHUNK = b"0\r\n\r\n"
Headers = Mapping[str, str]


def send(*writes: bytes) -> Step:
    """Write the bytes as they are, each in a write of its own."""

    async def step(peer: Peer) -> None:
        for data in writes:
            await peer.send(data)

    return step


def drip(data: bytes, size: int = 1, *, pause: float = 0.0) -> Step:
    """Write ``data`` in pieces of ``size`` bytes, ``pause`` seconds apart."""

    async def step(peer: Peer) -> None:
        for at in range(0, len(data), size):
            await peer.send(data[at : at + size])
            await asyncio.sleep(pause)

    return step


def stall(until: asyncio.Event | None = None) -> Step:
    """Do nothing until the event is set; without one, until the client goes away."""

    async def step(peer: Peer) -> None:
        await (until or peer.gone).wait()

    return step


def note(event: asyncio.Event) -> Step:
    """Tell the test that the script has come this far."""

    async def step(peer: Peer) -> None:
        event.set()

    return step


async def reset(peer: Peer) -> None:
    """Drop the connection with a TCP reset (what was written just before may be lost with it)."""
    peer.reset()


async def close(peer: Peer) -> None:
    """Close the connection in good order: all that was written arrives."""
    peer.transport.close()


def head(status: int = 200, headers: Headers | None = None) -> bytes:
    """A response head."""
    phrase = HTTPStatus(status).phrase if status in {item.value for item in HTTPStatus} else "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in (headers or {}).items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def answer(status: int = 200, body: bytes | None = None, headers: Headers | None = None) -> tuple[Step, ...]:
    """A whole answer with Content-Length: the given body, or a fitting one in OpenAI's shape."""
    if body is None:
        body = chat_answer() if status < 300 else error_body()
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
    return (send(head(status, fields) + body),)


def open_stream(headers: Headers | None = None) -> Step:
    """The head of a chunked event stream."""
    fields = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked", **(headers or {})}
    return send(head(200, fields))


def chunks(*pieces: bytes) -> Step:
    """Write each piece as an HTTP chunk of its own."""
    return send(*(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces))


def stream(events: Iterable[bytes] | None = None, *, cut: int | None = None) -> tuple[Step, ...]:
    """A whole event stream, cut into pieces of ``cut`` bytes, or an event a piece."""
    whole = list(chat_stream_events() if events is None else events)
    if cut is not None:
        joined = b"".join(whole)
        whole = [joined[at : at + cut] for at in range(0, len(joined), cut)]
    return (open_stream(), chunks(*whole), send(LAST_CHUNK))


def broken_stream(events: Iterable[bytes], end: Step = reset) -> tuple[Step, ...]:
    """A stream that stops in its middle: by a reset, `close` or a `stall`."""
    return (open_stream(), chunks(*events), end)


def until_close(events: Iterable[bytes]) -> tuple[Step, ...]:
    """A stream without framing, which ends with the connection: its truncation cannot be told."""
    return (send(head(200, {"Content-Type": "text/event-stream"}), *events), close)


def limited(retry_after: str | None = None, *, name: str = "Retry-After") -> tuple[Step, ...]:
    """429, naming a time to wait or not."""
    body = error_body("Rate limit reached.", "requests", "rate_limit_exceeded")
    return answer(429, body, {} if retry_after is None else {name: retry_after})


def redirect(to: str, status: int = 307) -> tuple[Step, ...]:
    """A redirect that must not be followed."""
    return answer(status, b"", {"Location": to})


def gzip_bomb(megabytes: int = 64) -> tuple[Step, ...]:
    """A small body that unpacks to ``megabytes`` MiB of zeros."""
    return answer(200, gzip.compress(bytes(megabytes * 1024 * 1024)), {"Content-Encoding": "gzip"})


def truncated(body: bytes | None = None, missing: int = 10) -> tuple[Step, ...]:
    """An answer that promises ``missing`` bytes more than come before the connection closes."""
    body = chat_answer() if body is None else body
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    return (send(head(200, fields) + body[: len(body) - missing]), close)


def header_flood(count: int = 10_000) -> tuple[Step, ...]:
    """An answer with ``count`` headers."""
    return answer(headers={f"X-Flood-{number}": "x" * 100 for number in range(count)})


def idle_close() -> tuple[Step, ...]:
    """A good answer on a connection that is then closed though keep-alive was to be expected."""
    return (*answer(), close)
