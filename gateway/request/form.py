"""A multipart form on its way through: kept out of memory, and sent on as often as attempts need it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import Any

IN_MEMORY = 1024 * 1024
"""Bytes of a form that are held in memory; a larger one is in a temporary file without a name."""
PIECE = 64 * 1024
"""Bytes that are read from it at once."""
GATHERED = 256 * 1024
"""Bytes that are written to it at once: what comes in smaller ones is not worth a thread's attention."""
_MODEL = b'Content-Disposition: form-data; name="model"\r\n\r\n'


@dataclass(slots=True)
class Part:
    """One part: its header lines with the blank line behind them, and where its content is."""

    name: str
    head: bytes = field(repr=False)
    start: int
    end: int


class Form:
    """The parts that came, in their order: a `gateway.api.Upload`. To be closed."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.size = 0
        """Bytes of all contents together."""
        self._boundary = uuid.uuid4().hex
        self._spool = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  # closed by `close`
        self._gathered = bytearray()
        self._writing: asyncio.Future[Any] | None = None
        """What a thread does with the file, or did last; none while all is in memory."""

    def add(self, name: str, head: bytes) -> None:
        """Begin the next part."""
        self.parts.append(Part(name, head, self.size, self.size))

    async def write(self, data: bytes) -> None:
        """More of the part's content. Raises `OSError` where the disk has no room for it."""
        self._gathered += data
        self.size += len(data)
        self.parts[-1].end = self.size
        if len(self._gathered) >= GATHERED:
            await self._keep()

    async def finish(self) -> None:
        """All has come, and can be sent from now on. Raises `OSError` as `write` does."""
        if self._gathered:
            await self._keep()

    def addressed(self, model: str) -> Addressed:
        """The form with ``model`` in the field of this name; all other parts byte for byte."""
        return Addressed(self, model.encode())

    def close(self) -> None:
        """Let go of the file; nothing can be sent any more."""
        if self._writing is None:
            self._spool.close()
        else:  # behind what is still being written; to give a large file back takes a while as well
            self._writing.add_done_callback(self._give_back)

    def _give_back(self, written: asyncio.Future[Any]) -> None:
        self._writing = written.get_loop().run_in_executor(None, _close, self._spool)

    async def _keep(self) -> None:
        """Write what was gathered: in memory at once, to disk in a thread, while others have their turn."""
        data, self._gathered = self._gathered, bytearray()
        if self.size <= IN_MEMORY:
            self._spool.write(data)
            return
        self._writing = asyncio.get_running_loop().run_in_executor(None, self._spool.write, data)
        await asyncio.shield(self._writing)

    def _read(self, start: int, end: int) -> Iterator[bytes]:
        while start < end:
            self._spool.seek(start)
            piece = self._spool.read(min(PIECE, end - start))
            if not piece:
                raise OSError("the temporary file of an upload was cut short")
            start += len(piece)
            yield piece

    def _delimited(self, model: bytes) -> Iterator[tuple[bytes, Part | None]]:
        """What stands between contents, each with the part whose content follows."""
        opening = f"--{self._boundary}\r\n".encode()
        for part in self.parts:
            if part.name == "model":
                yield b"%b%b%b\r\n" % (opening, _MODEL, model), None
            else:
                yield opening + part.head, part
                yield b"\r\n", None
        yield f"--{self._boundary}--\r\n".encode(), None


def _close(spool: SpooledTemporaryFile[bytes]) -> None:
    with suppress(OSError):  # of what a full disk did not take, and nobody wants any more
        spool.close()


class Addressed:
    """A form for one upstream: a `gateway.api.Body`."""

    def __init__(self, form: Form, model: bytes) -> None:
        self.content_type = f"multipart/form-data; boundary={form._boundary}"
        self._form = form
        self._model = model
        self._length = sum(
            len(text) + (part.end - part.start if part is not None else 0)
            for text, part in form._delimited(model)
        )

    def __len__(self) -> int:
        return self._length

    def pieces(self) -> Iterator[bytes]:
        """All of it, from the start. Raises `OSError` if it cannot be read back."""
        for text, part in self._form._delimited(self._model):
            yield text
            if part is not None:
                yield from self._form._read(part.start, part.end)
