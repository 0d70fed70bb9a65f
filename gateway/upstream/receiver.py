"""Who hears an answer as it arrives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gateway.upstream.failure import UpstreamFailure


class Receiver(Protocol):
    """Called straight from the event loop's read callback, so nothing here may block or raise.

    Order: at most one ``on_head``, any number of ``on_data``, then exactly one of ``on_end`` and
    ``on_fail`` (which may also come first) unless the exchange is aborted; after that, nothing.
    """

    def on_head(self, status: int, headers: Mapping[str, str]) -> None:
        """Status (200 to 599) and header fields: lower-case names, repeated ones joined by ``", "``.

        Where the body came compressed, ``content-encoding`` and ``content-length`` are left out.
        """

    def on_data(self, data: bytes) -> None:
        """The next bytes of the body, without chunking or compression, as they arrived; never empty."""

    def on_end(self) -> None:
        """The answer is complete as far as HTTP can tell (a body may be ended by the connection's end)."""

    def on_fail(self, failure: UpstreamFailure) -> None:
        """There will be no (more) answer."""
