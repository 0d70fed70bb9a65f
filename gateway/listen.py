"""Listen addresses: ``[host]:port``, ``unix:/path``, ``fd://``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listen:
    """One address: a host (None: all) with a port, a Unix socket's path, or inherited sockets."""

    host: str | None = None
    port: int = 0
    path: str | None = None
    inherited: bool = False


def parse_listen(text: str) -> Listen:
    """Raises `ValueError` with a message for the operator."""
    if text == "fd://":
        return Listen(inherited=True)
    if text.startswith("unix:"):
        return Listen(path=text.removeprefix("unix:"))
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise ValueError("must be [host]:port, unix:/path or fd://")
    return Listen(host=host.strip("[]") or None, port=int(port))
