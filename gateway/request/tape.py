"""An answer on its way to several clients: what has come so far, and the streams that follow it live."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

from gateway.request.relay import Relay

ROOM = 1024 * 1024
"""Bytes of a stream that are kept: a longer one cannot be joined, nor is it cached."""
STOCK = 64 * ROOM
"""Bytes of all streams that are kept at once."""
STEP = 4096
"""Bytes that a tape takes of the stock at a time: not each piece of a stream has to ask for its room."""
MAX_BEHIND = 2 * ROOM
"""Bytes a client may leave unread while others follow; beyond it, it is cut off."""


class Stock:
    """The room that all tapes share."""

    __slots__ = ("_size", "taken")

    def __init__(self, size: int = STOCK) -> None:
        self._size = size
        self.taken = 0

    def take(self, size: int) -> bool:
        """Whether there was so much left; it is taken then."""
        if self.taken + size > self._size:
            return False
        self.taken += size
        return True


class Tape:
    """Records what an answer brings, with a cost of 0, for whoever gets it without paying for it.

    The upstream pauses only while nobody who listens can take more: a slow client slows no other.
    """

    __slots__ = (
        "_abandoned",
        "_blocked",
        "_followers",
        "_leader",
        "_pause",
        "_paused",
        "_room",
        "_stock",
        "ending",
        "held",
        "pieces",
        "whole",
    )

    def __init__(self, stock: Stock | None = None) -> None:
        """``stock``: where its room is from, to be given back with `close`; None for an answer in one piece,
        which is in memory anyway."""
        self.pieces: list[bytes] = []
        self.ending = b""
        """What comes last in a stream; not among the pieces."""
        self.whole = True
        """All that came is still there: there was room for it."""
        self.held = 0
        """Bytes of the stock."""
        self._stock = stock
        self._room = sys.maxsize if stock is None else 0
        self._leader: Relay | None = None
        self._abandoned = False
        self._followers: list[Relay] = []
        self._blocked: dict[Relay, bool] = {}
        self._pause: Callable[[bool], None] | None = None
        self._paused = False

    def write(self, data: bytes) -> None:
        """The next piece. A leader's own stream is not written: its usage may hold another cost."""
        self._room -= len(data)
        if self._room >= 0:
            self.pieces.append(data)
        elif self.whole:
            self._extend(data)
        for relay in self._followers:
            relay.write(data)
        if self._followers:
            for relay in self._blocked:
                if relay.behind > MAX_BEHIND:
                    relay.drop()

    def close(self) -> None:
        """Give back what is held of the stock: nothing is kept any more, and nobody can join."""
        if self._stock is not None:
            self._stock.taken -= self.held
            self.held, self._room = 0, 0
            self.whole = False
            self.pieces = []

    def lead(self, relay: Relay, pause: Callable[[bool], None]) -> None:
        """The stream of the client whose request made the call, and how its attempt is paused."""
        self._leader = relay
        self._pause = pause
        self._paused = False
        if not self._abandoned:
            self._listen(relay)

    def join(self, relay: Relay) -> None:
        """Send what has come so far, and from now on what comes."""
        self._followers.append(relay)
        self._listen(relay)
        if self.pieces:
            relay.write(b"".join(self.pieces))

    def leave(self, relay: Relay) -> None:
        """Send this one no more."""
        self._followers.remove(relay)
        self._forget(relay)

    def leader_left(self) -> None:
        """Wait for the leader's client no more."""
        self._abandoned = True
        if self._leader is not None:
            self._forget(self._leader)

    def _extend(self, data: bytes) -> None:
        """Take room for a piece; without it nothing is kept."""
        more = -(self._room // STEP) * STEP
        if self._stock is not None and self.held + more <= ROOM and self._stock.take(more):
            self.held += more
            self._room += more
            self.pieces.append(data)
        else:
            self.close()

    def _listen(self, relay: Relay) -> None:
        self._blocked.setdefault(relay, False)
        relay.attach(partial(self._note, relay))

    def _forget(self, relay: Relay) -> None:
        self._blocked.pop(relay, None)
        relay.attach(None)
        self._steer()

    def _note(self, relay: Relay, blocked: bool) -> None:
        self._blocked[relay] = blocked
        self._steer()

    def _steer(self) -> None:
        paused = bool(self._blocked) and all(self._blocked.values())
        if paused != self._paused and self._pause is not None:
            self._paused = paused
            self._pause(paused)
