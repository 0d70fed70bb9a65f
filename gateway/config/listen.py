"""Where to listen: ``[host]:port``, ``unix:/path`` or ``fd://`` (sockets handed over by systemd)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_TCP = re.compile(r"(?P<host>\[[0-9a-fA-F:.%\w]+\]|[^\[\]:/\s]*):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Tcp:
    """A TCP address; ``host`` None means every interface, ``port`` 0 a free one."""

    host: str | None
    port: int


@dataclass(frozen=True, slots=True)
class Unix:
    """A Unix socket."""

    path: str


@dataclass(frozen=True, slots=True)
class Inherited:
    """The sockets that systemd hands over."""


Listen = Tcp | Unix | Inherited


def parse(text: str) -> Listen:
    """Read an address. Raises ValueError with a message for the operator."""
    if text == "fd://":
        return Inherited()
    if text.startswith("unix:") and len(text) > len("unix:"):
        return Unix(text.removeprefix("unix:"))
    match = _TCP.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise ValueError("not an address: write HOST:PORT, :PORT, unix:/PATH or fd://")
    return Tcp(match["host"].strip("[]") or None, int(match["port"]))


def clash(one: Listen, other: Listen) -> bool:
    """Whether only one of them can be listened on, as far as that shows without asking for names."""
    if isinstance(one, Tcp) and isinstance(other, Tcp):
        hosts = one.host, other.host
        return one.port == other.port != 0 and (_covers(*hosts) or _covers(*reversed(hosts)))
    return one == other


def _covers(one: str | None, other: str | None) -> bool:
    """Whether the addresses of the host ``other`` are among those of ``one``."""
    if one is None or one == other:
        return True
    try:
        every, single = ipaddress.ip_address(one), ipaddress.ip_address(str(other))
    except ValueError:
        return False
    return every.is_unspecified and every.version == single.version
