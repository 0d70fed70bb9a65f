"""What systemd and a service say to each other: readiness, watchdog, inherited sockets."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping, MutableMapping

FIRST_FD = 3
"""SD_LISTEN_FDS_START: where inherited sockets begin."""
_FROM_MANAGER = frozenset({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})


def notify(state: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Send ``state`` (``READY=1``, ``WATCHDOG=1``, …; see sd_notify(3)); whether it could be sent.

    Never blocks and never raises, for a service must not fall over its supervisor's absence.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        try:
            channel.sendto(state.encode(), address)
        except OSError:
            return False
    return True


def extend_timeout(seconds: float) -> None:
    """Ask for so many seconds from now to start, reload or stop, whatever the unit's timeout is."""
    notify(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")


def watchdog_interval(environ: Mapping[str, str] = os.environ) -> float | None:
    """Seconds within which systemd expects each ``WATCHDOG=1``; None if it expects none of us."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = _number(environ.get("WATCHDOG_USEC", ""))
    return microseconds / 1e6 if microseconds else None


async def keep_watchdog(well: Callable[[], bool] = lambda: True) -> None:
    """Tell systemd that all is ``well`` and, as only the event loop itself can, that it runs; twice as often
    as is expected (see sd_watchdog_enabled(3)), until cancelled."""
    interval = watchdog_interval()
    while interval is not None:
        if well():
            notify("WATCHDOG=1")
        await asyncio.sleep(interval / 2)


def listen_sockets(
    environ: MutableMapping[str, str] = os.environ, first_fd: int = FIRST_FD
) -> list[socket.socket]:
    """The sockets systemd opened for us, by sd_listen_fds(3); empty without socket activation.

    The variables are taken out of the environment, for a socket has one owner and children are not meant.
    Raises `OSError` if what was announced is not there or not a socket.
    """
    pid, count = environ.get("LISTEN_PID"), _number(environ.get("LISTEN_FDS", ""))
    if pid != str(os.getpid()) or not count:
        return []
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environ.pop(name, None)
    sockets = [socket.socket(fileno=fd) for fd in range(first_fd, first_fd + count)]
    for inherited in sockets:
        inherited.set_inheritable(False)
    return sockets


def without_manager(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a child that is none of systemd's business."""
    return {name: value for name, value in environ.items() if name not in _FROM_MANAGER}


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
