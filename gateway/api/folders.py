"""Where the gateway and its plugins keep files."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from itertools import takewhile
from pathlib import Path


def append_whole(file: int, size: int, data: bytes) -> None:
    """Append ``data`` to the open file of ``size`` bytes, or nothing of it. Raises `OSError`."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(file, view) :]
    except OSError:
        with suppress(OSError):
            os.ftruncate(file, size)
        raise


def make_private_folder(folder: Path) -> None:
    """Make it and all that is missing above it, for nobody but us; what is there stays as it is.

    Raises `OSError` with a whole path, `NotADirectoryError` where something else has one of the names."""
    folder = folder.absolute()
    missing = [*takewhile(lambda path: not path.is_dir(), (folder, *folder.parents))]
    for path in reversed(missing):  # each for itself: with ``parents`` a mode is for the last one only
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:  # perhaps another process was faster
            if not path.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None
