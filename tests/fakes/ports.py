"""Ports for servers of tests."""

from __future__ import annotations

import secrets
import socket

_NOT_EPHEMERAL = range(10_000, 32_768)
"""Below those that Linux gives to whoever connects: else one could be gone before its server listens."""


def free_port() -> int:
    """A port that was free a moment ago."""
    while True:
        port = secrets.choice(_NOT_EPHEMERAL)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
