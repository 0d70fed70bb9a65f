"""What the processes on one machine share: windows and facts, kept by one of them and on disk."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from gateway.api import Trouble
from gateway_stores.facts import Fact
from gateway_stores.file_disk import words
from gateway_stores.file_state import StateFile
from gateway_stores.windows.authority import WindowAuthority
from gateway_stores.windows.quota import Answer, Ask, ask_from_json, ask_to_json

log = logging.getLogger(__name__)

SWEEP_SECONDS = 60.0
AT_ONCE = 50
"""Subjects written down, or looked through, in one turn of the event loop."""
RETRY_SECONDS = 1.0
"""Between attempts to write to a disk that did not take it."""


class _Told(NamedTuple):
    """What the host keeps of a fact."""

    number: int
    """Grows with each fact that is told."""
    teller: str
    value: str
    until: float
    """Seconds since the epoch."""


class Host:
    """In a lone process or the supervisor: the authority over windows, and the facts that were shared.

    What is asked of it is on disk before it is answered, so that what was used counts after any crash. If the
    disk fails it goes on in memory, and says so."""

    def __init__(self, path: str, clock: Callable[[], float], failed: Callable[[str], None]) -> None:
        """``clock`` gives seconds since the epoch and never jumps."""
        self.trouble: Trouble | None = None
        self._clock = clock
        self._failed = failed
        self._path = path
        self._file = StateFile(path)
        self._authority = WindowAuthority()
        self._facts: dict[str, _Told] = {}
        self._number = 0
        self._sweep_at = 0.0
        self._retry_at = 0.0
        self._writing: asyncio.Task[None] | None = None
        self._sweeping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Go on where the last process ended; what that one still held counts as used.
        Raises `OSError` where the disk cannot be written to."""
        now = self._clock()
        for entry in await asyncio.to_thread(self._file.load):
            with suppress(KeyError, TypeError, ValueError):
                self._replay(entry, now)
        state = self._authority.dump()
        self._authority = WindowAuthority()
        self._authority.load(state, now)
        self._lose_all(now)
        try:
            await self._file.snapshot(self._state(self._authority.subjects()))
        except OSError as error:
            raise OSError(words(self._path, error)) from error

    async def close(self) -> None:
        """Write down how things are."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        if self._writing is not None:
            await self._writing
        try:
            await self._file.snapshot(self._state(self._authority.subjects()))
        except OSError as error:
            self._note(error)
        self._file.close()

    def exchange(self, asks: Sequence[Ask]) -> list[Answer]:
        """As `Authority.exchange`."""
        now = self._clock()
        if told := [ask_to_json(ask) for ask in asks if ask.number]:
            self._write({"at": now, "asks": told})
        return self._authority.exchange(asks, now)

    def lost(self, holder: str) -> None:
        """As `Hosting.lost`."""
        now = self._clock()
        self._write({"at": now, "lost": holder})
        self._authority.lost(holder, now)

    def tell(self, teller: str, name: str, value: str, seconds: float) -> None:
        """Remember a fact for ``seconds``."""
        now = self._clock()
        until = now + seconds
        self._write({"at": now, "fact": [name, value, until]})
        self._remember(teller, name, value, until)

    def news(self, listener: str, since: int) -> tuple[int, list[Fact]]:
        """The number of the newest fact, and the facts after number ``since`` that others than ``listener``
        told."""
        now = self._clock()
        return self._number, [
            (name, fact.value, fact.until - now)
            for name, fact in self._facts.items()
            if fact.number > since and fact.teller != listener and fact.until > now
        ]

    def _remember(self, teller: str, name: str, value: str, until: float) -> None:
        self._number += 1
        self._facts[name] = _Told(self._number, teller, value, until)

    def _replay(self, entry: dict[str, Any], now: float) -> None:
        match entry:
            case {"windows": windows, "facts": facts}:
                self._authority.load(windows, now)
                for fact in facts:
                    self._recall(fact, entry.get("at"), now)
            case {"at": at, "asks": asks}:
                self._authority.exchange([ask_from_json(ask) for ask in asks], at)
            case {"at": at, "lost": holder}:
                self._authority.lost(holder, at)
            case {"fact": [_, _, _] as fact}:
                self._recall(fact, entry.get("at"), now)
            case {"damaged": _}:  # what was reported there was held before: it counts as used
                self._lose_all(now)
            case _:
                pass

    def _recall(self, fact: list[Any], at: float | None, now: float) -> None:
        """A fact from the file. If the clock went back since it was written (``at``), it holds no longer than
        it was to hold then; older versions did not say when that was."""
        name, value, until = fact
        self._remember("", name, value, float(until if at is None else min(until, now + until - at)))

    def _lose_all(self, now: float) -> None:
        held = self._authority.dump().values()
        for holder in {holder for subject in held for holder in subject["holders"]}:
            self._authority.lost(holder, now)

    def _state(self, subjects: Iterable[str]) -> dict[str, Any]:
        facts = [[name, fact.value, fact.until] for name, fact in self._facts.items()]
        states = ((subject, self._authority.state_of(subject)) for subject in subjects)
        windows = {subject: state for subject, state in states if state}
        return {"at": self._clock(), "windows": windows, "facts": facts}

    def _write(self, event: dict[str, Any]) -> None:
        """Add to the file, and see that it does not grow for ever."""
        try:
            self._file.append(event)
        except OSError as error:
            self._note(error)
        now = self._clock()
        if self._sweeping is None and now >= self._sweep_at:
            self._sweep_at = now + SWEEP_SECONDS
            self._sweeping = asyncio.get_running_loop().create_task(self._sweep())
        if self._file.grown and self._writing is None and now >= self._retry_at:
            self._writing = asyncio.get_running_loop().create_task(self._snapshot())

    async def _sweep(self) -> None:
        """Forget what counts no longer, a little at a time, so that nobody waits."""
        try:
            now = self._clock()
            self._facts = {name: fact for name, fact in self._facts.items() if fact.until > now}
            subjects = self._authority.subjects()
            for start in range(0, len(subjects), AT_ONCE):
                self._authority.sweep(subjects[start : start + AT_ONCE], self._clock())
                await asyncio.sleep(0)
        finally:
            self._sweeping = None

    async def _snapshot(self) -> None:
        """A little of the state at a time, so that nobody waits. What changes meanwhile comes after it in the
        file; an exchange that is in the state already is stale when it is replayed."""
        self._file.begin()
        try:
            state, subjects = self._state(()), self._authority.subjects()
            for start in range(0, len(subjects), AT_ONCE):
                state["windows"] |= self._state(subjects[start : start + AT_ONCE])["windows"]
                await asyncio.sleep(0)
            await self._file.snapshot(state)
            if self.trouble is not None:
                log.info("windows are written to disk again", extra={"path": self._path})
            self.trouble = None
        except OSError as error:
            self._note(error)
        finally:
            self._writing = None

    def _note(self, error: OSError) -> None:
        self._failed("reserve")
        self._retry_at = self._clock() + RETRY_SECONDS
        if self.trouble is None:
            reason = words(self._path, error)
            self.trouble = Trouble(f"{reason}; windows are kept in memory only", time.time())
            log.error("windows are kept in memory only", extra={"path": self._path, "error": reason})
