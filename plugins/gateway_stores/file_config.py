"""The file that keeps what was set through the admin API: one JSON document, replaced as a whole."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import orjson

from gateway.api import Conflict, Document, StoreUnavailable
from gateway.api.folders import make_private_folder
from gateway_stores.file_disk import open_private, sync_directory_of, words

_Stamp = tuple[int, int, int]


@dataclass(eq=False)
class FileConfigStore:
    """Beside ``path`` it keeps ``path.lock``. Any number of processes may write: one at a time does."""

    path: str = "./data/config.json"

    def __post_init__(self) -> None:
        self._seen: tuple[_Stamp | None, str] = (None, "")
        """What told the file from its predecessors, and the version it had."""

    async def open(self) -> None:
        """Raises `OSError` where nothing can be written."""
        await asyncio.to_thread(self._prepare)

    async def close(self) -> None:
        """Nothing is held open."""

    async def read(self) -> Document:
        """As `ConfigStore.read`. What is not JSON is trouble: it stays as it is until somebody mends it."""
        return await asyncio.to_thread(self._read)

    async def version(self) -> str:
        """As `ConfigStore.version`: made of the content, which is read only where the file has changed."""
        return await asyncio.to_thread(self._version)

    async def write(self, data: bytes, expected: str) -> str:
        """As `ConfigStore.write`: after a crash at any moment the file is the old one or the new one."""
        return await asyncio.to_thread(self._write, data, expected)

    def _prepare(self) -> None:
        try:
            make_private_folder(Path(self.path).parent)
            with self._locked():
                pass
        except OSError as error:
            raise OSError(words(self.path, error)) from error

    def _version(self) -> str:
        try:
            stamp = self._stamp()
        except OSError as error:
            raise StoreUnavailable(words(self.path, error)) from error
        return self._seen[1] if stamp == self._seen[0] else self._read().version

    def _read(self) -> Document:
        try:
            stamp = self._stamp()
            with open(self.path, "rb", opener=open_private) as file:
                data = file.read()
            orjson.loads(data)
        except FileNotFoundError:
            self._seen = None, ""
            return Document("", b"")
        except ValueError as error:
            message = f"{self.path}: is not JSON ({error}): mend it, or remove it"
            raise StoreUnavailable(message) from error
        except OSError as error:
            raise StoreUnavailable(words(self.path, error)) from error
        document = Document(sha256(data).hexdigest()[:16], data)
        self._seen = stamp, document.version
        return document

    def _write(self, data: bytes, expected: str) -> str:
        try:
            with self._locked():
                if self._read().version != expected:
                    raise Conflict
                self._replace(data)
                return self._read().version
        except StoreUnavailable:
            raise
        except OSError as error:
            raise StoreUnavailable(words(self.path, error)) from error

    def _replace(self, data: bytes) -> None:
        draft = f"{self.path}.new"
        with suppress(FileNotFoundError):
            os.unlink(draft)
        try:
            with open(draft, "xb", opener=open_private) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.rename(draft, self.path)
        except OSError:
            with suppress(OSError):
                os.unlink(draft)
            raise
        sync_directory_of(self.path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with open(f"{self.path}.lock", "ab", opener=open_private) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _stamp(self) -> _Stamp | None:
        try:
            found = os.lstat(self.path)
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
