"""A file of a snapshot and the events after it, appended one by one: whole after any crash."""

from __future__ import annotations

import asyncio
import os
import zlib
from typing import Any

import orjson

from gateway_stores.file_disk import open_private, sync_directory_of

GROWN_BYTES = 8 * 1024 * 1024
"""So much is appended, and as much as the snapshot is long, before another snapshot is worth it."""


class StateFile:
    """Each line is the CRC-32 of what follows in hex, a space, and a JSON object. The first is a snapshot;
    a line that is not whole ends what is known."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._size = 0
        self._snapshot_bytes = 0
        self._late: list[bytes] | None = None
        """What is appended while a snapshot is made and on its way to the disk."""

    def load(self) -> list[dict[str, Any]]:
        """The snapshot and the events after it; nothing if there is no file. Raises `OSError`."""
        try:
            with open(self._path, "rb", opener=open_private) as file:
                lines = file.read().split(b"\n")
        except FileNotFoundError:
            return []
        entries = []
        for line in lines:
            crc, _, data = line.partition(b" ")
            if crc != b"%08x" % zlib.crc32(data):
                break
            entries.append(orjson.loads(data))
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
        line = _line(state)
        if self._late is None:
            self._late = []
        try:
            descriptor = await asyncio.to_thread(self._draft, line)
            try:
                _write(descriptor, *self._late)
                os.rename(self._draft_path, self._path)
            except BaseException:
                os.close(descriptor)
                raise
            self.close()
            self._descriptor, self._snapshot_bytes = descriptor, len(line)
            self._size = len(line) + sum(map(len, self._late))
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

    def _draft(self, line: bytes) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        descriptor = open_private(self._draft_path, flags)
        try:
            _write(descriptor, line)
            os.fsync(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def _line(values: dict[str, Any]) -> bytes:
    data = orjson.dumps(values)
    return b"%08x %b\n" % (zlib.crc32(data), data)


def _write(descriptor: int, *lines: bytes) -> None:
    data = b"".join(lines)
    if os.write(descriptor, data) < len(data):
        raise OSError("the disk is full")
