"""One daemon for each data file: a lock that ends with the process, however it ends."""

from __future__ import annotations

import fcntl
import os

from gateway_stores.file_disk import open_private


class FileLock:
    """Held from `acquire` on. The file beside the data stays; only the lock on it counts."""

    def __init__(self, path: str) -> None:
        """``path`` is that of the data."""
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Raises `BlockingIOError` if another process holds it, `OSError` if the file cannot be made."""
        descriptor = open_private(f"{self._path}.lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode(errors="replace").strip()
            os.close(descriptor)
            raise BlockingIOError(
                f"{self._path}: is in use by another gateway (process {holder or 'unknown'}): stop that one, "
                "or give this one a path of its own"
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        os.write(descriptor, b"%d\n" % os.getpid())
        self._descriptor = descriptor

    def release(self) -> None:
        """Let another process have it. A second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
