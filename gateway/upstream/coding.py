"""Content codings of answers (RFC 9110, section 8.4.1), undone piece by piece."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

CODINGS = frozenset({"gzip", "x-gzip", "deflate"})
PIECE = 65536
"""The most bytes one step yields: a bomb is noticed after as much."""

_GZIP = 16 + zlib.MAX_WBITS
_ZLIB = zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS


class Inflater:
    """Decompresses one body. What a sync flush has made readable comes out at once."""

    __slots__ = ("_coding", "_stream")

    def __init__(self, coding: str) -> None:
        """``coding`` is one of `CODINGS`."""
        self._coding = coding
        self._stream: zlib._Decompress | None = None

    @property
    def done(self) -> bool:
        """Whether the compressed data have come to their proper end; true of no data at all."""
        return self._stream is None or self._stream.eof

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Decompress the next bytes, at most `PIECE` at a time. Raises `zlib.error` if they are not valid."""
        stream = self._stream
        while data:
            if stream is None or stream.eof:
                stream = self._stream = zlib.decompressobj(self._window(data[0]))
            piece = stream.decompress(data, PIECE)
            while piece:
                yield piece
                # A full piece may have left output inside although all input was taken.
                piece = stream.decompress(stream.unconsumed_tail, PIECE) if len(piece) == PIECE else b""
            data = stream.unused_data

    def _window(self, first: int) -> int:
        if self._coding != "deflate":
            return _GZIP
        # Deflate means zlib's format, but some servers send it bare. Zlib's first byte says method 8
        # in its low half; as bare deflate that would be a stored block with stray bits set.
        return _ZLIB if first & 0x0F == 8 else _RAW
