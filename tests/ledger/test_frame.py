"""Frames: what was written comes back, and damage takes nothing with it but itself."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import Attempt, Record
from gateway.ledger.frame import decode, encode, frame, is_torn, pieces
from tests.ledger.support import number_of, record, records

SOME = st.lists(records, min_size=1, max_size=5)


def whole(data: bytes) -> list[Record]:
    return [decode(piece.payload) for piece in pieces(data) if piece.payload is not None]


@given(records)
@settings(max_examples=80, deadline=None)
def test_any_record_comes_back(one: Record) -> None:
    assert decode(encode(one)) == one


@given(SOME)
@settings(max_examples=30, deadline=None)
def test_frames_come_back_in_order(some: list[Record]) -> None:
    data = b"".join(frame(encode(one)) for one in some)
    assert whole(data) == some
    assert [piece.start for piece in pieces(data)][1:] == [piece.end for piece in pieces(data)][:-1]


@given(SOME, st.data())
@settings(max_examples=80, deadline=None)
def test_cut_anywhere_the_records_before_the_cut_come_back(some: list[Record], data: st.DataObject) -> None:
    frames = [frame(encode(one)) for one in some]
    stream = b"".join(frames)
    cut = data.draw(st.integers(0, len(stream)))
    fitting = [one for number, one in enumerate(some) if len(b"".join(frames[: number + 1])) <= cut]
    assert whole(stream[:cut]) == fitting
    *_, last = [*pieces(stream[:cut]), None]
    if last is not None and last.payload is None:
        assert is_torn(stream[last.start : cut])


@given(SOME, st.data())
@settings(max_examples=80, deadline=None)
def test_a_flipped_byte_costs_the_record_it_is_in_and_no_other(
    some: list[Record], data: st.DataObject
) -> None:
    frames = [frame(encode(one)) for one in some]
    hit = data.draw(st.integers(0, len(some) - 1))
    at = data.draw(st.integers(0, len(frames[hit]) - 1))
    broken = bytearray(frames[hit])
    broken[at] ^= data.draw(st.integers(1, 255))
    stream = b"".join([*frames[:hit], bytes(broken), *frames[hit + 1 :]])
    assert whole(stream) == [*some[:hit], *some[hit + 1 :]]
    [damaged] = [piece for piece in pieces(stream) if piece.payload is None]
    assert stream[damaged.start : damaged.end] == bytes(broken)


@given(st.binary(max_size=60), SOME)
@settings(max_examples=30, deadline=None)
def test_garbage_between_records_is_skipped(garbage: bytes, some: list[Record]) -> None:
    frames = [frame(encode(one)) for one in some]
    assert whole(garbage + garbage.join(frames) + garbage) == some


def test_every_cut_and_every_flipped_byte_of_a_small_journal() -> None:
    frames = [frame(encode(record(number))) for number in (1, 2, 3)]
    stream = b"".join(frames)
    for at in range(len(stream)):
        assert [number_of(one) for one in whole(stream[:at])] == [1, 2, 3][: at // len(frames[0])]
        flipped = stream[:at] + bytes([stream[at] ^ 0x20]) + stream[at + 1 :]
        assert len(whole(flipped)) == 2


def test_a_frame_within_a_name_is_none() -> None:
    inner = frame(encode(record(7))).decode("latin-1")
    outer = record(1, model=inner, attempts=[Attempt(inner, "k", "m", 200, "ok", 1.0)])
    data = bytearray(frame(encode(outer)))
    assert whole(bytes(data)) == [outer]
    data[0] ^= 1
    assert whole(bytes(data)) == []


@pytest.mark.parametrize(
    "payload",
    [
        *(b"", b"\xff", b"1", b"null", b"[]", b"{}", b'{"time":1}', b'["time","attempts"]'),
        *(b'{"time":1,"attempts":[%s]}' % attempt for attempt in (b"", b"{}", b"null", b'["key"]', b'"key"')),
    ],
)
def test_what_is_no_record_is_refused(payload: bytes) -> None:
    with pytest.raises((TypeError, ValueError)):
        decode(payload)


def test_what_a_later_version_adds_is_left_out() -> None:
    one = record(1, attempts=[Attempt("p", "k", "m", 200, "ok", 1.0)])
    values = one.to_json()
    values["region"] = values["attempts"][0]["region"] = "eu"
    assert decode(json.dumps(values).encode()) == one


def test_the_layout() -> None:
    assert frame(b'{"time":1}') == b"\x0a\0\0\0" + b"\x19\xc3\x86\x59" + b'{"time":1}'


def test_a_record_becomes_json_once_and_a_changed_copy_anew() -> None:
    one = record(1)
    assert encode(one) is encode(one)
    assert encode(one) is one.encoded()
    assert one == record(1)
    assert decode(encode(replace(one, status=502))) == replace(one, status=502)
