"""Server-sent events: the same events however the bytes were cut, and nothing lost."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects import sse
from gateway.dialects.sse import Event, EventTooLarge, Splitter

line_ends = st.sampled_from([b"\n", b"\r\n", b"\r"])
texts = st.sampled_from(
    [
        b"data: {}",
        b"data:no space",
        b"data:  two spaces",
        b"data",
        b": comment",
        b"event: named",
        b"id: 7",
        b"retry: 10",
        "data: h\u00e9 \u2028 \u2029 \u0085 \N{PILE OF POO}".encode(),
        b"",
        b"",
    ]
)
streams = st.lists(st.tuples(texts, line_ends), max_size=12).map(
    lambda lines: b"".join(text + end for text, end in lines)
)


def read(*pieces: bytes) -> list[Event]:
    splitter = Splitter()
    events = [event for piece in pieces for event in splitter.feed(piece)]
    return events + splitter.finish()


def data_of(*pieces: bytes) -> list[bytes]:
    return [event.data for event in read(*pieces) if event.data]


def reference(stream: bytes) -> list[bytes]:
    """The data of a stream, the slow way: all of it at once, line by line."""
    found: list[bytes] = []
    data: list[bytes] = []
    for line in [*re.split(rb"\r\n|\r|\n", stream.removeprefix(b"\xef\xbb\xbf")), b""]:
        if not line:
            found.append(b"\n".join(data))
            data = []
        elif line == b"data" or line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
    return [data for data in found if data]


@settings(max_examples=150)
@given(streams, st.booleans(), st.data())
def test_any_cut_gives_the_same_events(stream: bytes, bom: bool, draw: st.DataObject) -> None:
    stream = b"\xef\xbb\xbf" * bom + stream
    whole = read(stream)
    cuts = sorted(draw.draw(st.sets(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert read(*pieces) == whole
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == whole
    assert [event.data for event in whole if event.data] == reference(stream)


@given(streams)
def test_what_comes_out_is_what_went_in(stream: bytes) -> None:
    splitter = Splitter()
    fed = b"".join(event.raw for event in splitter.feed(stream))
    assert stream.startswith(fed)
    assert b"".join(event.raw for event in splitter.finish()).startswith(stream[len(fed) :].rstrip(b"\r\n"))


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\r\n\ndata: b\n\r\n", [b"a", b"b"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data: a", [b"a"]),
        (b"data: a\n", [b"a"]),
        (b"data: a\r", [b"a"]),
        (b"\n\n\ndata: a\n\n\n\n", [b"a"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"datax: a\n\n", []),
        (b"", []),
        (b"\xef\xbb", []),
    ],
)
def test_forms(stream: bytes, expected: list[bytes]) -> None:
    assert data_of(stream) == expected


def test_a_byte_order_mark_counts_only_at_the_beginning() -> None:
    assert data_of(b"data: a\n\n\xef\xbb\xbfdata: b\n\n") == [b"a"]


def test_a_comment_is_an_event_without_data() -> None:
    assert Splitter().feed(b": ping\n\n") == [Event(b": ping\n\n", b"", b"")]


def test_names() -> None:
    assert Splitter().feed(b"event: error\ndata: a\n\n") == [
        Event(b"event: error\ndata: a\n\n", b"error", b"a")
    ]


def test_an_event_comes_as_soon_as_its_blank_line() -> None:
    splitter = Splitter()
    assert splitter.feed(b"data: a\n") == []
    assert [event.data for event in splitter.feed(b"\ndata: b")] == [b"a"]
    assert [event.data for event in splitter.feed(b"\r\n\r\n")] == [b"b"]


def test_the_last_event_gets_the_blank_line_it_lacks() -> None:
    for stream in (b"data: a", b"data: a\n", b"data: a\r", b"data: a\r\n"):
        (event,) = read(stream)
        assert data_of(event.raw + b"data: b\n\n") == [b"a", b"b"]


def test_a_large_event_in_small_pieces_is_scanned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scanned = 0
    boundary = Splitter._boundary

    def counting(self: Splitter, buffer: bytes | bytearray, scan: int) -> int:
        nonlocal scanned
        scanned += max(len(buffer) - scan, 0)
        return boundary(self, buffer, scan)

    monkeypatch.setattr(Splitter, "_boundary", counting)
    for size, piece, end in ((4 << 20, 64 << 10, b"\n\n"), (20_000, 1, b"\n\n"), (20_000, 1, b"\r\n\r\n")):
        scanned = 0
        stream = b"data: " + b"x" * size + end
        (data,) = data_of(*(stream[at : at + piece] for at in range(0, len(stream), piece)))
        assert data == b"x" * size
        assert scanned < 6 * len(stream)


def test_an_event_beyond_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 100)
    fits, large = b"data: " + b"x" * 92 + b"\n\n", b"data: " + b"x" * 93 + b"\n\n"
    assert len(data_of(fits)) == 1
    for pieces in ((large,), (large[:50], large[50:]), tuple(large[at : at + 1] for at in range(101))):
        with pytest.raises(EventTooLarge):
            read(*pieces)


def test_events_before_one_beyond_the_cap_are_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 100)
    splitter = Splitter()
    assert [event.data for event in splitter.feed(b"data: a\n\ndata: " + b"x" * 100)] == [b"a"]
    with pytest.raises(EventTooLarge):
        splitter.feed(b"x")
    splitter = Splitter()
    assert len(splitter.feed(b"data: a\n\ndata: " + b"x" * 100)) == 1
    with pytest.raises(EventTooLarge):
        splitter.finish()
