"""A stream for several: who gets what, who waits for whom, and who is cut off."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from gateway.request.relay import Relay
from gateway.request.tape import MAX_BEHIND, Tape


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
    tape, follower = Tape(room=5), Listener()
    tape.join(relay(follower))
    for _ in range(3):
        tape.write(b"1234")
    assert (tape.whole, tape.pieces, follower.got) == (False, [], b"1234" * 3)


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
