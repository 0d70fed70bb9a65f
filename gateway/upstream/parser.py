"""HTTP/1.1 answers, parsed from bytes without any I/O: httptools inside, our limits around it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NoReturn

import httptools

from gateway.upstream.coding import CODINGS, Inflater
from gateway.upstream.failure import FailureKind, UpstreamFailure
from gateway.upstream.receiver import Receiver

MAX_HEAD = 65536
"""Bytes of all header fields; also the most bytes that may come in a row without being of the body."""
MAX_LINE = 16384
"""Bytes of one header field."""
MAX_FIELDS = 200
"""Header fields of one answer."""


class Parser:
    """Parses the answers of one connection, one after another, each into its receiver."""

    __slots__ = (
        "_barren",
        "_bodiless",
        "_fields",
        "_http",
        "_in_body",
        "_inflater",
        "_max_body",
        "_pieces",
        "_receiver",
        "_room",
        "_until_close",
        "answered",
        "complete",
        "reusable",
    )

    def __init__(self, max_body: int) -> None:
        """``max_body``: bytes a decoded body may have (uncompressed event streams: any number)."""
        self._max_body = max_body
        self._http: Any = httptools.HttpResponseParser(self)
        self.answered = False
        """A byte of the answer has come."""

    def begin(self, receiver: Receiver, bodiless: bool) -> None:
        """Expect an answer for ``receiver``; ``bodiless``: it is one to HEAD."""
        self._receiver: Receiver | None = receiver
        self._bodiless = bodiless
        self._fields: list[tuple[bytes, bytes]] = []
        self._barren = 0
        self._in_body = False
        self._pieces: list[bytes] = []
        self._inflater: Inflater | None = None
        self.answered = False
        self.complete = False
        """The answer has come to its end, and the receiver may be told so."""
        self.reusable = False
        """Once complete: nothing follows the answer, and the connection may carry another one."""

    def mute(self) -> None:
        """Call the receiver no more; whatever `feed` still returns or raises has no meaning then."""
        self._receiver = None

    def feed(self, data: bytes) -> bool:
        """Take bytes from the connection; return whether the answer is complete.

        Raises `UpstreamFailure` (INVALID, TRUNCATED, TOO_LARGE), after which nothing more may be fed.
        """
        self.answered = True
        self._barren += len(data)
        try:
            try:
                self._http.feed_data(data)
            finally:
                self._hand_on()
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.complete:
                _explain(error)
            # The answer is whole; what follows it, nobody asked for.
            self.reusable = False
        if self._barren > MAX_HEAD and not self.complete:
            raise _invalid("its header section, or the framing of its body, is too large")
        return self.complete

    def _hand_on(self) -> None:
        """What one read brought of the body goes on in one piece, however it was framed: a stream sends
        each event as a chunk of its own, and many of them at once."""
        pieces = self._pieces
        if pieces:
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            if self._receiver is not None:
                self._receiver.on_data(data)

    def end(self, clean: bool) -> None:
        """The connection is gone: return if this is how the answer ends.

        ``clean``: closed in order, not reset. Raises `UpstreamFailure` (RESET, TRUNCATED) otherwise.
        """
        if not (clean and self._in_body):
            raise UpstreamFailure(
                FailureKind.RESET,
                "The upstream closed the connection during its answer."
                if self.answered
                else "The upstream closed the connection without an answer.",
                answered=self.answered,
            )
        if not self._until_close:
            raise _truncated()
        self._finish()

    def on_message_begin(self) -> None:
        """Called by httptools with the first byte of each head."""
        if self.complete:
            raise _invalid("another one follows it")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by httptools, for trailers too; those are never looked at."""
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Called by httptools after each head, informational ones included."""
        status = self._http.get_status_code()
        if not 100 <= status <= 599:
            raise _invalid(f"its status is {status}")
        headers = collect_fields(self._fields)
        if status < 200:
            self._fields = []
            return
        bodiless = self._bodiless or status in (204, 304)
        self._open_body(headers, bodiless)
        if self._receiver is not None:
            self._receiver.on_head(status, headers)
        if self._bodiless:
            # httptools cannot be told that no body follows, so this connection ends here.
            self.mute()
            self.complete = True

    def on_body(self, data: bytes) -> None:
        """Called by httptools with each run of bytes of the body."""
        self._barren = 0
        for piece in (data,) if self._inflater is None else self._inflater.pieces(data):
            self._room -= len(piece)
            if self._room < 0:
                raise UpstreamFailure(
                    FailureKind.TOO_LARGE,
                    f"The upstream's answer is larger than {self._max_body} bytes.",
                    answered=True,
                )
            self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """Called by httptools at each answer's end, informational ones included."""
        if self._in_body and not self.complete:
            self._finish()
            self.reusable = self._http.should_keep_alive()

    def _open_body(self, headers: dict[str, str], bodiless: bool) -> None:
        transfer = headers.get("transfer-encoding")
        if transfer is not None and transfer.lower() != "chunked":
            raise _invalid("it has a transfer coding other than chunked")
        self._until_close = transfer is None and "content-length" not in headers
        self._in_body = True
        self._room: float = self._max_body
        coding = headers.get("content-encoding", "identity").lower()
        if coding != "identity" and not bodiless:
            if coding not in CODINGS:
                raise _invalid("it has a content coding that was not asked for")
            self._inflater = Inflater(coding)
            del headers["content-encoding"]
            headers.pop("content-length", None)
        elif headers.get("content-type", "").lower().startswith("text/event-stream"):
            self._room = float("inf")

    def _finish(self) -> None:
        if self._inflater is not None and not self._inflater.done:
            raise _truncated()
        self.complete = True


@lru_cache(1024)
def _lowered(name: bytes) -> str:
    return name.decode("latin-1").lower()


def collect_fields(fields: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Header fields as text (latin-1), repeated ones joined (RFC 9110, section 5.3).

    Raises `UpstreamFailure` (INVALID) beyond `MAX_FIELDS`, `MAX_LINE` or `MAX_HEAD`.
    """
    headers: dict[str, str] = {}
    total = 0
    for name, value in fields:
        total += len(name) + len(value)
        key = _lowered(name)
        text = value.decode("latin-1").rstrip(" \t")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    longest = max([len(name) + len(value) for name, value in fields]) if total > MAX_LINE else 0
    if longest > MAX_LINE or total > MAX_HEAD or len(fields) > MAX_FIELDS:
        raise _invalid("its header section is too large")
    return headers


def _explain(error: Exception) -> NoReturn:
    """Raise what made httptools fail: our own verdict, a receiver's exception, or its own complaint."""
    cause = error.__context__ if isinstance(error, httptools.HttpParserCallbackError) else None
    if isinstance(cause, zlib.error):
        raise _invalid("its compressed body is damaged") from None
    try:
        raise cause or _invalid("it is not valid HTTP/1.1") from None
    finally:
        # The exception knows this frame: if it knew it back, the answer would wait for the cycle collector.
        del cause, error


def _invalid(why: str) -> UpstreamFailure:
    return UpstreamFailure(FailureKind.INVALID, f"The upstream's answer is not usable: {why}.", answered=True)


def _truncated() -> UpstreamFailure:
    return UpstreamFailure(FailureKind.TRUNCATED, "The upstream's answer was cut short.", answered=True)
