"""A TCP proxy that can be bad: refusing, silent, slow, cutting, or cutting once the request went through."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Literal, Self

Toxic = Literal["none", "down", "stall", "reset", "drop_reply"]


class TcpProxy:
    """Between a client and ``port`` on this machine. `toxic` and `latency` may change at any time.

    ``down`` cuts what there is and refuses what comes; ``stall`` passes nothing on; ``reset`` cuts at the
    next byte; ``drop_reply`` passes requests on and cuts in place of the next reply.
    """

    def __init__(self, port: int) -> None:
        self.target = port
        self.latency = 0.0
        """Seconds added to each piece, each way."""
        self._toxic: Toxic = "none"
        self._healthy = asyncio.Event()
        self._healthy.set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.dropped = asyncio.Event()
        """Set when a reply was dropped."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def become(self, toxic: Toxic) -> None:
        """Be bad in this way from now on, or no longer."""
        was, self._toxic = self._toxic, toxic
        if toxic == "stall":
            self._healthy.clear()
        else:
            self._healthy.set()
        if toxic == "down":
            self._close()
        elif was == "down":
            await self.__aenter__()

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        finally:
            self._tasks.discard(task)
        self._tasks.add(task)
        both = {writer, far_writer}
        self._writers |= both
        with contextlib.suppress(OSError, asyncio.CancelledError):
            forth = asyncio.create_task(self._pass(reader, far_writer))
            back = asyncio.create_task(self._pass(far_reader, writer, replies=True))
            self._tasks |= {forth, back}
            await asyncio.wait({forth, back}, return_when=asyncio.FIRST_COMPLETED)
            for one in (forth, back):
                one.cancel()
            await asyncio.gather(forth, back, return_exceptions=True)
            self._tasks -= {forth, back}
        self._writers -= both
        for one_writer in both:
            one_writer.transport.abort()
        self._tasks.discard(task)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, replies: bool = False
    ) -> None:
        while data := await reader.read(65536):
            await self._healthy.wait()
            if self.latency:
                await asyncio.sleep(self.latency)
            if self._toxic == "reset":
                return
            if self._toxic == "drop_reply" and replies:
                self.dropped.set()
                return
            writer.write(data)
            await writer.drain()
