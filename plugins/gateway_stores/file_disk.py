"""Files of the stores on disk: private, no symbolic links followed, and there after a power cut."""

from __future__ import annotations

import os


def open_private(path: str, flags: int) -> int:
    """For ``open(…, opener=open_private)``: a new file is its owner's alone."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def sync_directory_of(path: str) -> None:
    """Make the name of a file last."""
    descriptor = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def words(path: str, error: OSError) -> str:
    """An error in one line that names the path."""
    message = error.strerror or str(error)
    return message if message.startswith(path) else f"{path}: {message}"
