"""The journal's upkeep: files are synced, a failed disk is tried again, dead processes' files are adopted."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Awaitable
from pathlib import Path

from gateway.api.folders import make_private_folder
from gateway.complaint import Complaint
from gateway.ledger.claim import LOCK, Claim, name_of, names
from gateway.ledger.journal import Journal
from gateway.ledger.segment import Segment

log = logging.getLogger(__name__)

SYNC_SECONDS = 1.0
"""So much of the records may be lost when the machine, not only this process, comes to a sudden end."""
ADOPT_EVERY = 5
"""Rounds from one look for abandoned segments to the next."""
_PROBE = bytes(4096)


class Upkeep:
    """Disk work is done in threads."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._adopted: list[tuple[Claim, list[Segment]]] = []
        self._complain = Complaint(log)

    async def run(self) -> None:
        """Until cancelled, or done: without a folder there is nothing to do."""
        while (folder := self._journal.folder) is not None:
            await _surviving(self.adopt(folder))
            for _ in range(ADOPT_EVERY):
                await asyncio.sleep(SYNC_SECONDS)
                await _surviving(self.sync())
                await _surviving(self.heal(folder))

    def close(self) -> None:
        """Let go of what was adopted, moved or not."""
        for claim, _ in self._adopted:
            claim.close()

    async def sync(self) -> None:
        """Let the disk have what was written."""
        for segment in list(self._journal.segments):
            if segment.fd < 0 or not segment.left:
                continue
            assert segment.path is not None
            dirty, segment.dirty = segment.dirty, False
            try:
                await asyncio.to_thread(_sync, os.dup(segment.fd), segment.path, dirty)
            except OSError as error:
                if segment in self._journal.segments:  # it was not just removed because all of it is moved
                    segment.doubtful = True
                    self._journal.fail(error)
            else:
                if not self._journal.is_current(segment):
                    segment.close()

    async def heal(self, folder: Path) -> None:
        """Go back to files as soon as that is possible."""
        if self._journal.durable:
            return
        try:
            await asyncio.to_thread(_probe, folder)
            self._journal.restore()
        except OSError as error:
            self._complain("the journal still cannot be written", error, records=self._journal.pending)
        else:
            log.info("usage records are written to the journal again")

    async def adopt(self, folder: Path) -> None:
        """Move what is in the segments of processes that have ended; what cannot be taken is in the way of
        nothing else."""
        for claim, segments in list(self._adopted):
            if not any(segment in self._journal.segments for segment in segments):
                self._adopted.remove((claim, segments))
                claim.close()
        own = {claim.name for claim in (self._journal.claim, *dict(self._adopted)) if claim is not None}
        untaken = {path: why for path, why in self._journal.untaken.items() if name_of(path) in own}
        try:
            found = sorted(await asyncio.to_thread(names, folder) - own)
        except OSError as error:
            found, untaken[folder] = [], str(error.strerror)
        for name in found:
            untaken |= await self._take_over(folder, name)
        self._journal.untaken = untaken
        if untaken:
            path, why = next(iter(untaken.items()))
            self._complain(
                "what another process left of its journal cannot be read: its records are not counted",
                path=str(path),
                reason=why,
                paths=len(untaken),
            )

    async def _take_over(self, folder: Path, name: str) -> dict[Path, str]:
        """What could not be taken, and why."""
        try:
            claim = Claim.take(folder, name)
        except OSError as error:
            return {folder / f"{name}{LOCK}": str(error.strerror)}
        if claim is None:
            return {}
        segments: list[Segment] = []
        untaken: dict[Path, str] = {}
        self._adopted.append((claim, segments))
        for path in claim.segments():
            try:
                segment = await asyncio.to_thread(Segment.found, path)
            except OSError as error:
                untaken[path] = str(error.strerror)
                continue
            segments.append(segment)
            self._journal.adopt(segment)
        records = sum(segment.pending for segment in segments)
        if records:
            log.info("found usage records that are not in the store yet", extra={"records": records})
        return untaken


async def _surviving(work: Awaitable[None]) -> None:
    """A bug in one kind of work stops neither the others nor its own next time."""
    try:
        await work
    except Exception:
        log.exception("bug in the journal's upkeep")


def _sync(fd: int, path: Path, dirty: bool) -> None:
    """Raises `OSError` if the file is not what its name stands for any more, or the disk failed."""
    try:
        if not os.path.samestat(os.stat(path), os.fstat(fd)):
            raise FileNotFoundError(errno.ENOENT, "the file was removed", str(path))
        if dirty:
            os.fsync(fd)
    finally:
        os.close(fd)
    if dirty:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _probe(folder: Path) -> None:
    """Raises `OSError` unless something can be written."""
    make_private_folder(folder)
    path = folder / f"{os.getpid()}.probe"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(fd, _PROBE)
        os.fsync(fd)
    finally:
        os.close(fd)
        path.unlink(missing_ok=True)
