"""Connections that a request may be on its way over, so that who stops can wait for them."""

from __future__ import annotations

import asyncio


class Expected:
    """A set, and an event for its being empty."""

    def __init__(self) -> None:
        self._connections: set[object] = set()
        self.none = asyncio.Event()
        """Set while there are none."""
        self.none.set()

    def add(self, connection: object) -> None:
        """A request may come."""
        self._connections.add(connection)
        self.none.clear()

    def discard(self, connection: object) -> None:
        """It has come, or the connection is gone."""
        self._connections.discard(connection)
        if not self._connections:
            self.none.set()
