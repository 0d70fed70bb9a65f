"""Notices that the configuration file has changed, however it was changed."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from hashlib import sha256

from watchdog.events import (
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from gateway.config.document import MAX_BYTES

_log = logging.getLogger(__name__)

_POLL = 1.0
_SETTLE = 0.2
_LONGEST_WAIT = 1.0
_GONE_AFTER = 2.0
"""Seconds for which a file may be missing while somebody replaces it."""
_NOTHING = b"nothing"
"""In place of a hash: the file is gone for good."""
_EVENTS: list[type[FileSystemEvent]] = [FileClosedEvent, FileCreatedEvent, FileDeletedEvent, FileMovedEvent]
"""Not each write: a log file in the same directory is written all the time."""


class Watcher(FileSystemEventHandler):
    """Calls ``on_change`` in the thread of ``loop`` when the file's content is another and has settled, and
    once when the file cannot be read any more.

    The content's hash alone decides. File system events only make it prompt: an inode watch goes blind
    when the file is replaced, so the file is also read every second.
    """

    def __init__(
        self, path: str, on_change: Callable[[], None], loop: asyncio.AbstractEventLoop, digest: bytes
    ) -> None:
        """``digest``: the SHA-256 of the content that was read last, so that no change since goes unseen."""
        self._path = os.path.abspath(path)
        self._on_change = on_change
        self._loop = loop
        self._woken = threading.Event()
        self._stopped = False
        self._missing_since: float | None = None
        self._observer: BaseObserver | None = None
        self._watches: dict[str, ObservedWatch] = {}
        self._names: frozenset[str] = frozenset()
        self._digest = digest
        self._thread = threading.Thread(target=self._run, name="config-watcher", daemon=True)

    def start(self) -> None:
        """Watch from now on, by polling alone where the system has no watches left."""
        observer = Observer()
        try:
            observer.start()
            self._observer = observer
        except OSError as error:
            _log.warning("cannot watch the configuration, polling it every second: %s", error.strerror)
        self._woken.set()
        self._thread.start()

    def stop(self) -> None:
        """Stop for good; `on_change` is not called any more. To be called in the loop's thread.

        Nobody waits for the threads: the observer's take up to a second to end.
        """
        self._stopped = True
        self._woken.set()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Look at the file, unless it was another that was written."""
        if not isinstance(event, FileClosedEvent) or os.path.basename(event.src_path) in self._names:
            self._woken.set()

    def _run(self) -> None:
        try:
            self._watch()
        finally:
            if self._observer is not None:
                self._observer.stop()  # takes up to a second, which the loop's thread does not have

    def _watch(self) -> None:
        while not self._stopped:
            self._woken.wait(_POLL if self._missing_since is None else min(_POLL, _GONE_AFTER))
            self._follow()
            digest = self._settled()
            if digest is not None and digest != self._digest and not self._stopped:
                self._digest = digest
                self._woken.set()  # once more: it may be somewhere now that is not followed yet
                try:
                    self._loop.call_soon_threadsafe(self._deliver)
                except RuntimeError:  # the loop was closed without stopping us
                    return

    def _deliver(self) -> None:
        if not self._stopped:
            self._on_change()

    def _settled(self) -> bytes | None:
        """The hash once the content is still, or never is for a second; None while the file may come back."""
        deadline = time.monotonic() + _LONGEST_WAIT
        self._woken.clear()
        digest = self._read()
        if digest == self._digest:
            return digest
        while time.monotonic() < deadline and not self._stopped:
            moved = self._woken.wait(_SETTLE)
            self._woken.clear()
            before, digest = digest, self._read()
            if digest == before and not moved:
                break
        return digest

    def _read(self) -> bytes | None:
        try:
            with open(self._path, "rb") as file:
                digest = sha256(file.read(MAX_BYTES + 1)).digest()
        except OSError:
            now = time.monotonic()
            if self._missing_since is None:
                self._missing_since = now
                self._digest = b""  # whatever comes is news: a reload in between has failed
            return _NOTHING if now - self._missing_since >= _GONE_AFTER else None
        self._missing_since = None
        return digest

    def _follow(self) -> None:
        """Watch the file's directory and, behind symlinks, the one it is really in, wherever that is now."""
        if self._observer is None:
            return
        places = {self._path, os.path.realpath(self._path)}
        self._names = frozenset(map(os.path.basename, places))
        wanted = set(map(os.path.dirname, places))
        for directory in self._watches.keys() - wanted:
            self._observer.unschedule(self._watches.pop(directory))
        for directory in wanted - self._watches.keys():
            try:
                self._watches[directory] = self._observer.schedule(self, directory, event_filter=_EVENTS)
            except OSError as error:
                _log.debug("cannot watch %s, polling: %s", directory, error.strerror)
