"""What a running gateway is told from outside, by signals and by its file's changes: stop, hurry, reload."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Iterator

from gateway import systemd
from gateway.config.watch import Watcher
from gateway.reload import Reloaded
from gateway.reply import asked, reply

log = logging.getLogger(__name__)


class Controls:
    """The first SIGTERM or SIGINT stops, the second hurries; SIGHUP and a changed file reload."""

    def __init__(self, reload: Callable[[str], Awaitable[Reloaded]]) -> None:
        """``reload`` is told what asked for it."""
        self.stopping = asyncio.Event()
        self.hurrying = asyncio.Event()
        self._reload = reload
        self._reloading: asyncio.Task[None] | None = None
        self._wanted: str | None = None
        """Who asked last for a reload that has not begun yet."""

    def stop(self) -> None:
        """Begin to drain; a second call hurries."""
        (self.hurrying if self.stopping.is_set() else self.stopping).set()

    def reload(self, why: str) -> None:
        """Reload soon. All who ask while one is running get one more between them."""
        self._wanted = why
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.get_running_loop().create_task(self._reload_as_wanted())

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Heed signals, from before the first request until all is cleaned up."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload, "SIGHUP")
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)

    @contextlib.contextmanager
    def watching(self, path: str | None, digest: bytes) -> Iterator[None]:
        """Reload when the file's content changes, if there is one. ``digest``: of the content that was read
        last."""
        if path is None:
            yield
            return
        watcher = Watcher(path, lambda: self.reload("file"), asyncio.get_running_loop(), digest)
        watcher.start()
        try:
            yield
        finally:
            watcher.stop()

    async def _reload_as_wanted(self) -> None:
        while self._wanted is not None and not self.stopping.is_set():
            why, self._wanted = self._wanted, None
            waiting, outcome = asked(), "failed"
            systemd.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
            try:
                outcome = (await self._reload(why)).outcome
            except Exception:
                log.exception("bug while the configuration was reloaded", extra={"trigger": why})
            finally:
                systemd.notify("READY=1")
                if waiting is not None:
                    reply(waiting, outcome)
