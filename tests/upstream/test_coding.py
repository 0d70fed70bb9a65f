"""Tests of content codings."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.upstream.coding import PIECE, Inflater


def bare_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
}


@given(st.sampled_from(sorted(ENCODERS)), st.binary(max_size=400), st.integers(1, 50), st.integers(1, 300))
@settings(max_examples=60, deadline=None)
def test_any_split_gives_the_same_bytes(coding: str, data: bytes, times: int, step: int) -> None:
    encoded = ENCODERS[coding](data * times)
    inflater = Inflater(coding)
    parts = [encoded[start : start + step] for start in range(0, len(encoded), step)]
    assert b"".join(piece for part in parts for piece in inflater.pieces(part)) == data * times
    assert inflater.done


def test_deflate_without_its_wrapper() -> None:
    inflater = Inflater("deflate")
    assert b"".join(inflater.pieces(bare_deflate(b"hello" * 50))) == b"hello" * 50
    assert inflater.done


def test_several_gzip_members() -> None:
    inflater = Inflater("gzip")
    assert b"".join(inflater.pieces(gzip.compress(b"one ") + gzip.compress(b"two"))) == b"one two"
    assert inflater.done


def test_what_was_flushed_comes_at_once() -> None:
    stream = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    inflater = Inflater("gzip")
    for event in (b"data: one\n\n", b"data: two\n\n"):
        assert list(inflater.pieces(stream.compress(event) + stream.flush(zlib.Z_SYNC_FLUSH))) == [event]
        assert not inflater.done


def test_a_bomb_comes_in_small_pieces() -> None:
    bomb = gzip.compress(bytes(16 << 20))
    pieces = list(Inflater("gzip").pieces(bomb))
    assert max(map(len, pieces)) <= PIECE
    assert sum(map(len, pieces)) == 16 << 20


def test_nothing_is_held_back() -> None:
    encoded = gzip.compress(bytes(PIECE + 1000))
    for end in range(len(encoded)):
        expected = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(encoded[:end])
        assert b"".join(Inflater("gzip").pieces(encoded[:end])) == expected


def test_damage_is_an_error() -> None:
    with pytest.raises(zlib.error):
        list(Inflater("gzip").pieces(b"this is not gzip at all"))
    assert Inflater("gzip").done, "no data at all is no damage"
