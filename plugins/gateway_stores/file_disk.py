"""Files of the stores on disk: private, no symbolic links followed, and there after a power cut."""

from __future__ import annotations

import os
import sqlite3
import time

LITTLE_ROOM = 1_000_000
"""Bytes below which a disk that is not full may be why SQLite fails."""


def open_private(path: str, flags: int) -> int:
    """For ``open(…, opener=open_private)``: a new file is its owner's alone.

    What root makes anew (``O_EXCL``) is its folder's owner's: who mends must not lock the service out.
    """
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if flags & os.O_EXCL and os.geteuid() == 0:
        folder = os.stat(os.path.dirname(os.path.abspath(path)))
        os.fchown(descriptor, folder.st_uid, folder.st_gid)
    return descriptor


def aside(path: str) -> str:
    """What a damaged file is called from now on."""
    return f"{path}.corrupt-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"


def sync_directory_of(path: str) -> None:
    """Make the name of a file last."""
    descriptor = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def words(path: str, error: Exception) -> str:
    """An error in one line that names the file it is about: ``path`` if it does not say."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or path}: {error.strerror}"
    message = f"{error}{_lack_of_room(path, error)}"
    return message if message.startswith(path) else f"{path}: {message}"


def _lack_of_room(path: str, error: Exception) -> str:
    """What SQLite does not say: a disk without room mostly is an I/O error, as a broken one is."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF not in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL):
        return ""
    try:
        disk = os.statvfs(os.path.dirname(os.path.abspath(path)))
    except OSError:
        return ""
    room = disk.f_bavail * disk.f_frsize
    return f": only {room // 1000} kB of room are left there" if room < LITTLE_ROOM else ""
