"""A database connection in a thread of its own, so that the event loop never waits for a disk."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from gateway.api import StoreUnavailable, Trouble
from gateway_stores.file_disk import words
from gateway_stores.file_schema import ERRORS, Damaged

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
_TROUBLE = (*ERRORS, OSError)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
DAMAGED = ".damaged"
"""Beside a database: it is to be looked at before it is used again."""
PROBE_SECONDS = 1.0
"""From trouble on, where there is a probe, from one to the next."""
_NICENESS = 5
"""How much a lane's thread is nicer than the event loop, which gets a core that both want at once."""


class Lane:
    """Work for one database, done one after the other. After trouble it begins with a new connection, and so
    it does where another file stands at its path, or none.

    ``probe`` is tried after trouble until it succeeds: others may never come again with work of theirs."""

    def __init__(
        self,
        path: str,
        connect: Callable[[str], sqlite3.Connection],
        failed: Callable[[str], None],
        *,
        probe: Callable[[sqlite3.Connection], object] | None = None,
    ) -> None:
        self.trouble: Trouble | None = None
        """What is wrong, as the last piece of work found it."""
        self._path = path
        self._connect = connect
        self._failed = failed
        self._probe = probe
        self._probing: asyncio.Task[None] | None = None
        self._connection: sqlite3.Connection | None = None
        self._file: os.stat_result | None = None
        """The file that it is connected to."""
        self._thread = ThreadPoolExecutor(1, "store", _give_way)
        self._lock = threading.Lock()
        self._at_work: object = None
        """What the thread does, None: nothing."""

    async def run(
        self,
        operation: str,
        work: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """What ``work`` returns. Raises `StoreUnavailable` where the database does not do it; that counts
        as a failure of ``operation``. What nobody waits for any more is broken off: others wait behind it."""
        mine = object()

        def do() -> T:
            self._begin(mine)
            try:
                return work(self._connected(), *args, **kwargs)
            except _TROUBLE:
                self._disconnect()
                raise
            finally:
                self._begin(None)

        try:
            result = await asyncio.get_running_loop().run_in_executor(self._thread, do)
        except asyncio.CancelledError:
            self._break_off(mine)
            raise
        except _TROUBLE as error:
            self._failed(operation)
            message = self._note(error)
            if self._probe is not None and self._probing is None:
                self._probing = asyncio.create_task(self._probe_until_well(self._probe))
            raise StoreUnavailable(message) from error
        self.trouble = None
        return result

    def _begin(self, work: object) -> None:
        with self._lock:
            self._at_work = work

    def _break_off(self, work: object) -> None:
        """With the lock, the thread goes on to no other work meanwhile."""
        with self._lock, suppress(sqlite3.Error):
            if self._at_work is work and self._connection is not None:
                self._connection.interrupt()

    async def _probe_until_well(self, probe: Callable[[sqlite3.Connection], object]) -> None:
        while self.trouble is not None:
            await asyncio.sleep(PROBE_SECONDS)
            with suppress(StoreUnavailable):
                await self.run("probe", probe)
        self._probing = None

    async def close(self) -> None:
        """Finish what was begun and let go."""
        if self._probing is not None:
            self._probing.cancel()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown(wait=False)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None and self._is_gone():
            log.error(
                "the database was removed or replaced: going on with what is there now",
                extra={"path": self._path},
            )
            self._disconnect()
        if self._connection is None:
            self._connection = self._connect(self._path)
            self._file = os.stat(self._path)
        return self._connection

    def _is_gone(self) -> bool:
        assert self._file is not None
        try:
            return not os.path.samestat(self._file, os.stat(self._path))
        except FileNotFoundError:
            return True

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error as error:
                log.warning("database not closed well", extra={"path": self._path, "error": str(error)})

    def _note(self, error: Exception) -> str:
        """Remember what is wrong; in words for the operator."""
        if isinstance(error, Damaged) or getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            message = f"{self._path}: is damaged; at the next start what can be read is brought to a new file"
            if not (marker := Path(self._path + DAMAGED)).exists():  # else it was said
                log.error(message, extra={"error": str(error)})
            with suppress(OSError):  # the next run that finds it damaged will
                marker.touch(mode=0o600)
        else:
            message = words(self._path, error)
        since = self.trouble.since if self.trouble else time.time()
        self.trouble = Trouble(message, since)
        return message


def _give_way() -> None:
    with suppress(OSError):  # a sandbox that lets no thread do so
        os.nice(_NICENESS)  # of this thread alone: on Linux each has its own
