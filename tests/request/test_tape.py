"""A stream for several: who gets what, who waits for whom, and who is cut off."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from gateway.request.relay import Relay
from gateway.request.tape import MAX_BEHIND, ROOM, STEP, Stock, Tape

sizes = st.sampled_from([0, 1, 200, STEP - 1, STEP, STEP + 1, 100_000, ROOM // 2, ROOM, ROOM + 1])


class Listener:
    """A client's side of a stream, without a client."""

    def __init__(self) -> None:
        self.got = b""
        self.behind = 0
        self.dropped = False
        self.on_blocked: Callable[[bool], None] | None = None

    def attach(self, on_blocked: Callable[[bool], None] | None) -> None:
        self.on_blocked = on_blocked

    def write(self, data: bytes) -> None:
        self.got += data

    def drop(self) -> None:
        self.dropped = True

    def block(self, blocked: bool) -> None:
        assert self.on_blocked is not None
        self.on_blocked(blocked)


def relay(listener: Listener) -> Relay:
    return cast(Relay, listener)


def test_who_joins_gets_what_was_and_what_comes() -> None:
    tape, early, late = Tape(), Listener(), Listener()
    tape.join(relay(early))
    tape.write(b"one ")
    tape.join(relay(late))
    tape.write(b"two")
    assert early.got == late.got == b"one two" == b"".join(tape.pieces)
    tape.leave(relay(early))
    tape.write(b" three")
    assert (early.got, late.got) == (b"one two", b"one two three")


def test_beyond_its_room_it_only_passes_on() -> None:
    stock = Stock()
    tape, follower = Tape(stock), Listener()
    tape.join(relay(follower))
    half = b"1" * (ROOM // 2)
    tape.write(half)
    tape.write(half)
    assert (tape.whole, tape.pieces, stock.taken) == (True, [half, half], ROOM)
    tape.write(b"2")
    tape.write(b"3")
    assert (tape.whole, tape.pieces, follower.got) == (False, [], half + half + b"23")
    assert stock.taken == 0


def test_where_others_hold_all_of_the_stock_it_only_passes_on() -> None:
    stock = Stock(2 * STEP)
    one, other, follower = Tape(stock), Tape(stock), Listener()
    other.join(relay(follower))
    one.write(b"1" * (STEP + 1))
    other.write(b"2")
    assert (other.whole, other.pieces, follower.got) == (False, [], b"2")
    assert (one.whole, stock.taken) == (True, 2 * STEP)
    one.close()
    assert (one.whole, one.pieces, stock.taken) == (False, [], 0)


def test_an_answer_in_one_piece_needs_no_room() -> None:
    tape = Tape()
    tape.write(b"1" * (2 * ROOM))
    tape.close()
    assert (tape.whole, len(tape.pieces)) == (True, 1)


@given(st.integers(0, 4 * ROOM), st.lists(st.tuples(st.integers(0, 4), st.none() | sizes), max_size=40))
def test_what_tapes_hold_is_what_they_took(size: int, history: list[tuple[int, int | None]]) -> None:
    """``history``: what each of some tapes gets, None where it ends."""
    stock = Stock(size)
    tapes, written = [Tape(stock) for _ in range(5)], [0] * 5
    for number, piece in history:
        if piece is None:
            tapes[number].close()
        else:
            tapes[number].write(bytes(piece))
            written[number] += piece
        assert stock.taken == sum(tape.held for tape in tapes) <= size
        for tape, length in zip(tapes, written, strict=True):
            kept = sum(map(len, tape.pieces))
            assert kept == (length if tape.whole else 0)
            assert kept <= tape.held < kept + STEP and tape.held <= ROOM
    for tape in tapes:
        tape.close()
    assert stock.taken == 0


def test_the_upstream_waits_only_if_all_do() -> None:
    tape, leader, follower = Tape(), Listener(), Listener()
    pauses: list[bool] = []
    tape.lead(relay(leader), pauses.append)
    leader.block(True)
    leader.block(False)
    assert pauses == [True, False]
    tape.join(relay(follower))
    leader.block(True)
    assert pauses == [True, False]
    follower.block(True)
    leader.block(False)
    assert pauses == [True, False, True, False]
    leader.block(True)
    tape.leave(relay(follower))
    assert pauses[-1] is True
    tape.leader_left()
    assert pauses[-1] is False


def test_who_reads_too_slowly_is_cut_off_and_a_lonely_leader_is_not() -> None:
    tape, leader, follower = Tape(), Listener(), Listener()
    tape.lead(relay(leader), lambda paused: None)
    leader.behind = MAX_BEHIND + 1
    tape.write(b"one")
    assert not leader.dropped
    tape.join(relay(follower))
    tape.write(b"two")
    assert (leader.dropped, follower.dropped) == (True, False)
    tape.leader_left()
    follower.behind = MAX_BEHIND + 1
    tape.write(b"three")
    assert follower.dropped
