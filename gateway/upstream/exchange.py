"""One request on its way to an upstream, and the handle by which its sender governs the answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.api.provider import Body
from gateway.upstream.receiver import Receiver

if TYPE_CHECKING:
    from gateway.upstream.connection import Connection


class Exchange:
    """Made by `Client.send`. Every method may be called at any time, also after the end."""

    __slots__ = (
        "aborted",
        "bodiless",
        "body",
        "connect_timeout",
        "connection",
        "form",
        "head",
        "paused",
        "receiver",
        "redial",
        "reused",
    )

    def __init__(self, head: bytes, body: bytes, receiver: Receiver, connect_timeout: float) -> None:
        self.head = head
        self.body = body
        self.form: Body | None = None
        """Sent behind the head in place of ``body``, as fast as the upstream takes it."""
        self.receiver = receiver
        self.connect_timeout = connect_timeout
        self.reused = False
        """The request went out on a connection that had carried one before."""
        self.bodiless = head.startswith(b"HEAD ")
        self.aborted = False
        self.paused = False
        self.connection: Connection | None = None
        """What carries the request at the moment; None while it is dialled anew, and after the end."""
        self.redial: asyncio.Task[None] | None = None

    def pause(self) -> None:
        """Stop reading the answer; what is being parsed at the moment may still arrive."""
        self.paused = True
        if self.connection is not None:
            self.connection.transport.pause_reading()

    def resume(self) -> None:
        """Go on reading the answer."""
        self.paused = False
        if self.connection is not None:
            self.connection.transport.resume_reading()

    def abort(self) -> None:
        """Close the connection at once; the receiver hears nothing more."""
        self.aborted = True
        if self.redial is not None:
            self.redial.cancel()
        if self.connection is not None:
            self.connection.abort()
