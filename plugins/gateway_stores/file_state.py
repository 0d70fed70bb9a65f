"""A file of a snapshot and the events after it, appended one by one: whole after any crash.

A byte that is damaged afterwards costs no more than the event it belongs to: the snapshot is there twice."""

from __future__ import annotations

import asyncio
import logging
import os
import zlib
from typing import Any

import orjson

from gateway_stores.file_disk import aside, open_private, sync_directory_of

GROWN_BYTES = 8 * 1024 * 1024
"""So much is appended, and as much as the snapshot is long, before another snapshot is worth it."""
UNREADABLE = {"damaged": True}
"""Stands for events that cannot be read."""
_BETWEEN: dict[str, Any] = {}
"""A line between a snapshot and its copy: a newline that is damaged takes two lines with it."""

log = logging.getLogger(__name__)


class StateFile:
    """Each line is the CRC-32 of what follows in hex, a space, and a JSON object. The first is a snapshot,
    the second empty, the third the snapshot again."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._size = 0
        self._snapshot_bytes = 0
        self._late: list[bytes] | None = None
        """What is appended while a snapshot is made and on its way to the disk."""

    def load(self) -> list[dict[str, Any]]:
        """The snapshot and the events after it, `UNREADABLE` where some are lost; nothing if there is no
        file. Raises `OSError`."""
        try:
            with open(self._path, "rb", opener=open_private) as file:
                data = file.read()
        except FileNotFoundError:
            return []
        entries, skipped = _whole(data)
        if skipped:
            facts = {"path": self._path, "kept_in": self._keep(data), "skipped_bytes": sum(skipped)}
            log.warning(
                "a file of windows was damaged: what could be read of it is kept",
                extra={**facts, "skipped_lines": len(skipped)},
            )
        return entries

    @property
    def grown(self) -> bool:
        """Whether a snapshot is due: because of its length, or because an event is missing from it."""
        if self._late is not None:
            return False
        return self._descriptor is None or self._size > self._snapshot_bytes + max(
            GROWN_BYTES, self._snapshot_bytes
        )

    def append(self, event: dict[str, Any]) -> None:
        """Add an event in one piece. Raises `OSError`; then only a snapshot helps."""
        line = _line(event)
        if self._late is not None:
            self._late.append(line)
        if self._descriptor is None:
            return
        try:
            _write(self._descriptor, line)
        except OSError:
            self.close()
            raise
        self._size += len(line)

    def begin(self) -> None:
        """A snapshot is going to be made: from now on events are kept, to come after it."""
        self._late = []

    async def snapshot(self, state: dict[str, Any]) -> None:
        """Begin anew with this state, and what is appended while it is written, or was since `begin`.
        Raises `OSError`."""
        if self._late is None:
            self._late = []
        try:
            line = _line(state)
            lines = line + _line(_BETWEEN) + line
            descriptor = await asyncio.to_thread(self._draft, lines)
            try:
                _write(descriptor, *self._late)
                os.rename(self._draft_path, self._path)
            except BaseException:
                os.close(descriptor)
                raise
            self.close()
            self._descriptor, self._snapshot_bytes = descriptor, len(lines)
            self._size = len(lines) + sum(map(len, self._late))
        finally:
            self._late = None
        await asyncio.to_thread(sync_directory_of, self._path)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @property
    def _draft_path(self) -> str:
        return f"{self._path}.new"

    def _draft(self, lines: bytes) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        descriptor = open_private(self._draft_path, flags)
        try:
            _write(descriptor, lines)
            os.fsync(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _keep(self, data: bytes) -> str | None:
        """Put a copy beside the file; its name, or None where that was not possible."""
        path = aside(self._path)
        try:
            with open(path, "wb", opener=open_private) as file:
                file.write(data)
        except OSError:
            return None
        return path


def _whole(data: bytes) -> tuple[list[dict[str, Any]], list[int]]:
    """What can be read, and how many bytes each line has that cannot. What a write that did not get through
    left at the end is neither."""
    entries: list[dict[str, Any]] = []
    skipped = []
    *lines, end = data.split(b"\n")
    if _entry(end) is not None:  # all of a write but the newline
        lines.append(end)
    elif _entry(end[:-1]) is not None:  # and that is damaged
        lines.append(end[:-1])
        skipped.append(1)
    for line in lines:
        entry = _entry(line)
        if entry is None:
            entries += [] if entries[-1:] == [UNREADABLE] else [UNREADABLE]
            skipped.append(len(line) + 1)
        elif entry != _BETWEEN and entry not in entries[:1]:
            entries.append(entry)
    return entries, skipped if entries else [len(data)]


def _entry(line: bytes) -> dict[str, Any] | None:
    """What a line says; None if it is not whole."""
    crc, _, data = line.partition(b" ")
    return orjson.loads(data) if crc == b"%08x" % zlib.crc32(data) else None


def _line(values: dict[str, Any]) -> bytes:
    data = orjson.dumps(values)
    return b"%08x %b\n" % (zlib.crc32(data), data)


def _write(descriptor: int, *lines: bytes) -> None:
    data = b"".join(lines)
    if os.write(descriptor, data) < len(data):
        raise OSError("the disk is full")
