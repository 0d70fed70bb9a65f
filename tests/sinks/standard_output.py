"""A pipe in the place of standard output, its reader in the hands of the test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import pytest

from gateway_sinks import stdout


@dataclass
class StandardOutput:
    """Both ends; the writing end blocks, as in real life."""

    reader: int
    writer: int

    @classmethod
    @contextmanager
    def replaced(cls) -> Iterator[Self]:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stdout, "DESCRIPTOR", writer)
            patch.setattr(stdout, "PATIENCE_SECONDS", 0.02)
            yield cls(reader, writer)
        os.close(reader)
        os.close(writer)

    def read(self) -> bytes:
        """All that is there by now."""
        data = b""
        try:
            while piece := os.read(self.reader, 1 << 16):
                data += piece
        except BlockingIOError:
            pass
        return data

    def fill(self) -> None:
        """Write newlines until no more go in."""
        os.set_blocking(self.writer, False)
        try:
            while True:
                os.write(self.writer, b"\n" * 4096)
        except BlockingIOError:
            os.set_blocking(self.writer, True)
