"""Accepts the connections of a socket that several processes listen on, each process its share of them."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

log = logging.getLogger(__name__)

PATIENCE = 0.002
"""Seconds for which a connection is left to a process that has fewer."""
AT_ONCE = 8
"""Connections that are taken when none has come for them."""
NO_ROOM = 1.0
"""Seconds before another try where this process, or the machine, can open no more files."""
SETTLING = 1.0
"""Seconds that handshakes get once no more is accepted."""
_FULL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

Make = Callable[[], asyncio.Protocol]


class Share(Protocol):
    """How many connections this process has, and the others."""

    def tell(self, count: int) -> None:
        """So many are open here."""

    def leave(self) -> None:
        """No more are taken here."""

    @property
    def ahead(self) -> bool:
        """Whether there is a process with notably fewer."""

    @property
    def fewest(self) -> int:
        """What the one of the others has that has the fewest."""


class Acceptor:
    """Takes connections from ``sock``, which does not block, one at each turn of the loop, and gives them to
    protocols of ``make``. Whoever has more connections than another process leaves the next one to that
    for `PATIENCE`: whichever wakes first would take all of a burst. ``count`` says how many are open."""

    def __init__(
        self,
        sock: socket.socket,
        make: Make,
        count: Callable[[], int],
        share: Share,
        context: ssl.SSLContext | None,
    ) -> None:
        self._sock = sock
        self._make = make
        self._count = count
        self._share = share
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._settling: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """Begin to accept."""
        self._loop.add_reader(self._sock, self._turn)

    async def close(self) -> None:
        """Accept no further connections; what was accepted has become one, or has failed to."""
        self._loop.remove_reader(self._sock)
        if self._timer is not None:
            self._timer.cancel()
        self._sock.close()
        self._share.leave()
        if self._settling:
            await asyncio.wait(self._settling, timeout=SETTLING)

    def _turn(self) -> None:
        self._tell()
        if self._share.ahead:
            self._step_back(PATIENCE, self._share.fewest)
        else:
            self._take()

    def _step_back(self, seconds: float, fewest: int = -1) -> None:
        self._loop.remove_reader(self._sock)
        self._timer = self._loop.call_later(seconds, self._come_back, fewest)

    def _come_back(self, fewest: int) -> None:
        """Accept again. If nobody else took any meanwhile, they are busy, or do not run at all."""
        self._timer = None
        self.open()
        if self._share.fewest == fewest:
            for _ in range(AT_ONCE):
                if not self._take():
                    break

    def _take(self) -> bool:
        """Whether there was a connection."""
        try:
            accepted, _ = self._sock.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False
        except OSError as exc:
            if exc.errno not in _FULL:
                raise
            log.error("no connection can be accepted", extra={"error": str(exc)})
            self._step_back(NO_ROOM)
            return False
        task = self._loop.create_task(self._serve(accepted))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        self._tell()
        return True

    async def _serve(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        with suppress(OSError):  # a client that is gone, or whose handshake failed
            await self._loop.connect_accepted_socket(self._make, accepted, ssl=self._context)

    def _tell(self) -> None:
        self._share.tell(self._count() + len(self._settling))
