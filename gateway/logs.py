"""Log lines: one JSON object each, free of secrets and of line breaks, written by a thread of their own."""

from __future__ import annotations

import logging
import os
import queue
import re
import select
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from types import TracebackType
from typing import Any

import orjson

from gateway.redact import Redactor

MAX_STRING = 2048
"""Bytes of UTF-8 that are kept of a string."""
QUEUE_LINES = 10_000
QUEUE_BYTES = 64 * 1024 * 1024
"""Lines waiting for a slow reader, and their bytes; what comes after them is dropped and counted."""
HIDDEN = "***"
"""Stands in place of a credential."""

SECRET = re.compile(
    r"(?=[srpgxAybBaPS?&])"  # what any of it begins with: most characters are passed over at once
    r"(?:(?P<prefix>(?:\b|(?<=\\[bfnrt])|(?<=\\u[0-9a-fA-F]{4}))"
    r"(?:(?:sk|rk|pk)-|gsk_|xai-|AIza|ya29\.|AKIA|(?i:bearer)\s+))[\w\-.~+/]{8,}=*"
    r"|(?P<name>(?i:api[-_]?key|passw(?:or)?d|secret|[?&]key)\\?[\"']?\s*[=:]\s*\\?[\"']?)[^\s\"'\\&,;}]{4,})"
)
"""What looks like a credential, in plain text as in JSON: the last net, for nobody should log one to begin
with."""
SECRET_FIELD = re.compile(r"(?i)(?:api[-_]?key|password|secret|authorization|cookie)$")
_DECEPTIVE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_MAX_DEPTH = 8
_STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"asctime", "message", "taskName"}


def rfc3339(seconds: float) -> str:
    """Seconds since the epoch as UTC with milliseconds."""
    whole, micros = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{_whole_seconds(whole)}.{micros // 1000:03}Z"


@lru_cache(64)
def _whole_seconds(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:-6]


def encode(fields: Mapping[str, Any], known: Iterable[Redactor] = ()) -> bytes:
    """Any fields as one line of JSON, whatever is in them.

    Strings are cut at `MAX_STRING`; ``known`` secrets are taken out, what looks like one is masked; control
    characters, Unicode line breaks and direction overrides are escaped, lone surrogates spelt out.
    """
    return harmless(orjson.dumps(_plain(fields, known)))


def harmless(json: bytes) -> bytes:
    """JSON with escapes for what a terminal or a pager would act on."""
    return _DECEPTIVE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.decode()).encode()


def hidden(match: re.Match[str]) -> str:
    """What stands in place of a match of `SECRET`."""
    return (match["prefix"] or match["name"]) + HIDDEN


def _plain(value: object, known: Iterable[Redactor], depth: int = 0) -> object:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else str(value)
    if depth < _MAX_DEPTH:
        if isinstance(value, Mapping):
            return {
                _text(name, known): (
                    HIDDEN if SECRET_FIELD.search(str(name)) else _plain(item, known, depth + 1)
                )
                for name, item in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [_plain(item, known, depth + 1) for item in value]
    return _text(value, known)


def _text(value: object, known: Iterable[Redactor]) -> str:
    data = str(value).encode("utf-8", "backslashreplace")
    text = data.decode()
    if len(data) > MAX_STRING:
        text = data[: MAX_STRING - 3].decode("utf-8", "ignore") + "…"
    for redactor in known:
        text = redactor.without(text)
    return SECRET.sub(hidden, text)


class JsonFormatter(logging.Formatter):
    """``time``, ``level``, ``message``, ``request_id`` if there is one, then what was given as ``extra``."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, Redactor] = {}

    def hide(self, secrets: Iterable[str]) -> None:
        """Keep these out of what exceptions say: a plugin may raise anything. They are kept out for ever,
        since what a reload takes away may still be in use."""
        new = {secret: Redactor(secret) for secret in secrets if secret not in self._known}
        longest_first = sorted({**self._known, **new}.items(), key=lambda one: -len(one[0]))
        self._known = dict(longest_first)  # one may begin with another; lines are made in any thread

    def format(self, record: logging.LogRecord) -> str:
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD_ATTRIBUTES}
        fields: dict[str, Any] = {
            "time": rfc3339(record.created),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if "request_id" in extra:
            fields["request_id"] = extra["request_id"]
        fields = fields | {name: value for name, value in extra.items() if name not in fields}
        fields.setdefault("logger", record.name)
        if record.exc_info and (error := record.exc_info[1]) is not None:
            fields["error"] = f"{type(error).__name__}: {error}"
            fields["traceback"] = _frames(error.__traceback__)
        # Only there, for looking for each of many secrets takes its time.
        known = self._known.values() if "error" in fields else ()
        return encode(fields, known).decode()


def _frames(trace: TracebackType | None) -> list[str]:
    """Where, innermost last: neither source lines nor locals, for both may hold secrets."""
    return [
        f"{frame.f_code.co_filename}:{line} in {frame.f_code.co_qualname}"
        for frame, line in traceback.walk_tb(trace)
    ]


class LineWriter:
    """Writes to a file descriptor from a thread, so that nobody ever waits for whoever reads it."""

    def __init__(self, fd: int, dropped: Callable[[int], None]) -> None:
        """``dropped`` is told, in any thread, how many lines were lost."""
        self._fd = fd
        self._dropped = dropped
        self._queue: queue.Queue[tuple[bytes, int] | None] = queue.Queue(QUEUE_LINES)
        self._bytes = 0
        self._counting = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"log writer {fd}", daemon=True)
        self._thread.start()

    def put(self, data: bytes, lines: int = 1) -> None:
        """Queue ``lines`` whole lines. Never blocks."""
        try:
            self._count(len(data))
            self._queue.put_nowait((data, lines))
        except queue.Full:
            self._count(-len(data))
            self._dropped(lines)

    def close(self, timeout: float) -> None:
        """Wait at most ``timeout`` seconds for what is queued to be written."""
        try:
            self._queue.put(None, timeout=timeout)
        except queue.Full:
            return
        self._thread.join(timeout)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            data, lines = item
            try:
                self._write(data)
            except OSError:
                self._dropped(lines)
            self._count(-len(data))

    def _count(self, size: int) -> None:
        """So many bytes wait more, or less. Raises `queue.Full`."""
        with self._counting:
            self._bytes += size
            if size > 0 and self._bytes > QUEUE_BYTES:
                raise queue.Full

    def _write(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:  # someone we share the descriptor with made it non-blocking
                select.select([], [self._fd], [])


class LogHandler(logging.Handler):
    """Operational lines to stderr, with a priority before each where the journal listens (sd-daemon(3))."""

    def __init__(self, fd: int = 2, environ: Mapping[str, str] = os.environ) -> None:
        super().__init__()
        formatter = JsonFormatter()
        self.setFormatter(formatter)
        self.hide = formatter.hide
        """Keeps secrets out of lines about exceptions: `JsonFormatter.hide`."""
        self.forward: Callable[[bytes], None] | None = None
        """Gets every line as well: the log file's inlet. Called in any thread."""
        self.dropped: Callable[[str, int], None] = lambda sink, count: None
        """Told of lost lines: ``"stderr"`` and how many. Called in any thread."""
        self._journal = _is_journal(fd, environ)
        self._writer = LineWriter(fd, lambda count: self.dropped("stderr", count))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record).encode()
        except Exception as error:
            line = encode({
                "time": rfc3339(record.created),
                "level": record.levelname.lower(),
                "message": "a log line could not be formatted",
                "logger": record.name,
                "error": type(error).__name__,
                "where": f"{record.pathname}:{record.lineno}",
            })  # fmt: skip
        self.write_lines([line], record.levelno)
        if self.forward is not None:
            self.forward(line)

    def write_lines(self, lines: Sequence[bytes], level: int = logging.INFO) -> None:
        """Queue finished lines for stderr only."""
        prefix = _priority(level) if self._journal else b""
        self._writer.put(b"".join([prefix + line + b"\n" for line in lines]), len(lines))

    def close(self) -> None:
        self._writer.close(timeout=1.0)
        super().close()


def complain(message: object, level: int = logging.ERROR, environ: Mapping[str, str] = os.environ) -> None:
    """Tell the operator in plain words, on stderr; each line with a priority where the journal listens."""
    prefix = _priority(level).decode() if _is_journal(2, environ) else ""
    print("\n".join(prefix + line for line in str(message).splitlines()), file=sys.stderr)


class StderrSink:
    """Where request records go without a log file: the same stderr, in turn with the other lines."""

    def __init__(self, handler: LogHandler) -> None:
        self._handler = handler

    async def write(self, lines: Sequence[bytes]) -> None:
        self._handler.write_lines(lines)

    async def close(self) -> None:
        """Nothing to do: the handler outlives it."""


def configure(level: str, fd: int = 2) -> LogHandler:
    """Send everything the process logs through one `LogHandler`; ``level`` as in ``logging.level``.

    Starts a thread, which a fork does not inherit: call it in the process that logs.
    """
    handler = LogHandler(fd)
    root = logging.getLogger()
    for former in root.handlers:
        if isinstance(former, LogHandler):
            former.close()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    logging.getLogger("asyncio").addFilter(_is_news)
    return handler


def _is_news(record: logging.LogRecord) -> bool:
    """Not what uvloop says of a TLS connection that was given up while it still had to write: who gave it up
    knows."""
    error = record.exc_info[1] if record.exc_info else None
    return not (
        isinstance(error, RuntimeError)
        and str(error).endswith("the handler is closed")
        and record.msg.startswith("Fatal error on SSL protocol")
    )


def _is_journal(fd: int, environ: Mapping[str, str]) -> bool:
    """Whether ``fd`` is the very stream that systemd connected to the journal."""
    try:
        stat = os.fstat(fd)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"


def _priority(level: int) -> bytes:
    for threshold, priority in ((50, b"<2>"), (40, b"<3>"), (30, b"<4>"), (20, b"<6>")):
        if level >= threshold:
            return priority
    return b"<7>"
