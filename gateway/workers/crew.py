"""Keeps a number of workers running: replaces those that end, gives up where none can start."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence

from gateway.first_of import first_of
from gateway.workers.channel import CallFailed, ChannelClosed
from gateway.workers.member import Handle, Member

log = logging.getLogger(__name__)

CRASHES, CRASH_SECONDS = 5, 10.0
"""So many ends within so many seconds, before all have ever served, and it gives up."""
STABLE = 10.0
"""Seconds after which a worker's end is an accident of its own, and its successor starts at once."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before another try, from the second end in a row on; doubled each time."""
SILENT = 3.0
"""Seconds without a sign of life (there is one a second) after which nobody waits for a worker."""
HUNG = 20.0
"""Seconds without a sign of life after which a worker is killed."""
SLOW_START = 60.0
"""The same for one that does not serve yet."""
LOOK = 1.0
"""Seconds between two looks at who is silent."""


class GaveUp(Exception):
    """The workers cannot start; the message is for the operator."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code
        """The exit code."""


class Crew:
    """The workers, which get these file descriptors. ``handle`` answers what they ask; ``ended`` is told of
    each one's end."""

    def __init__(
        self, count: int, inherited: Sequence[int], handle: Handle, ended: Callable[[Member], None]
    ) -> None:
        self.complete = asyncio.Event()
        """Set once all serve for the first time."""
        self._members: dict[int, Member] = {}
        self._count = count
        self._inherited = inherited
        self._handle = handle
        self._ended = ended
        self._stopping = asyncio.Event()
        self._ends: deque[float] = deque(maxlen=CRASHES)

    @property
    def serving(self) -> list[Member]:
        """The workers that serve requests, as far as known."""
        return [member for _, member in sorted(self._members.items()) if member.serving]

    @property
    def answering(self) -> bool:
        """Whether every worker gave a sign of life lately; one that is being replaced does not count."""
        return all(not _silent(member) for member in self.serving)

    def joined(self, member: Member) -> None:
        """``member`` serves now."""
        member.serving = True
        if len(self.serving) == self._count:
            self.complete.set()

    async def run(self) -> None:
        """Until `stop`, and until every worker has ended then. Raises `GaveUp`."""
        watching = asyncio.create_task(self._watch())
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._count):
                    group.create_task(self._keep(number))
        except BaseExceptionGroup as group_error:
            raise group_error.exceptions[0] from None
        finally:
            watching.cancel()
            self.kill()

    def stop(self) -> None:
        """Let every worker drain; none is replaced any more."""
        self._stopping.set()
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End whatever still runs."""
        self._signal(signal.SIGKILL)

    async def ask(self, topic: str, payload: object, seconds: float) -> dict[Member, bytes]:
        """Ask all that serve; the answers that came within ``seconds``. Those that are silent are told as
        well, but not waited for."""
        asking = {asyncio.ensure_future(member.ask(topic, payload)): member for member in self.serving}
        hopeful = [task for task, member in asking.items() if not _silent(member)]
        try:
            if hopeful:
                await asyncio.wait(hopeful, timeout=seconds)
            else:
                await asyncio.sleep(0)  # so that the calls go out
        finally:
            for task in asking:
                task.cancel()  # which changes nothing for those that are done
        answers = {}
        for task, member in asking.items():
            if task.done() and not isinstance(task.exception(), ChannelClosed | CallFailed):
                answers[member] = task.result()
        return answers

    async def _keep(self, number: int) -> None:
        """Have a worker in this place at all times."""
        in_a_row = 0
        while not self._stopping.is_set():
            try:
                member = await Member.start(number, self._inherited, self._handle)
            except OSError as error:
                if not self.complete.is_set():
                    raise
                log.error("worker cannot be started", extra={"worker": number, "error": str(error)})
                in_a_row = max(in_a_row, 1) + 1
                await first_of(_backoff(in_a_row), self._stopping)
                continue
            self._members[number] = member
            log.info("worker started", extra={"worker": number, "pid": member.process.pid})
            if self._stopping.is_set():
                member.process.terminate()
            status = await member.process.wait()
            await member.channel.closed.wait()  # and has taken all that it said
            del self._members[number]
            self._ended(member)
            if self._stopping.is_set():
                return
            log.error("worker ended", extra={"worker": number, "pid": member.process.pid, "status": status})
            self._give_up(member)
            in_a_row = 1 if time.monotonic() - member.began >= STABLE else in_a_row + 1
            if in_a_row > 1:
                await first_of(_backoff(in_a_row), self._stopping)

    def _give_up(self, member: Member) -> None:
        """Raise `GaveUp` where another start would end the same way."""
        if self.complete.is_set():
            return
        if member.refusal is not None:
            raise GaveUp(*member.refusal)
        self._ends.append(time.monotonic())
        if len(self._ends) == CRASHES and self._ends[-1] - self._ends[0] <= CRASH_SECONDS:
            raise GaveUp(f"cannot start: workers ended {CRASHES} times within {CRASH_SECONDS:.0f} seconds", 1)

    async def _watch(self) -> None:
        """Say which workers are silent, and kill those that will hardly come back."""
        named: set[Member] = set()
        now = time.monotonic()
        while True:
            due = now + LOOK
            await asyncio.sleep(LOOK)
            now = time.monotonic()
            if now > due + LOOK:  # we were stopped ourselves: what they said meanwhile is still to be read
                for member in self._members.values():
                    member.heard += now - due
            for member in self._members.values():
                facts = {"worker": member.number, "pid": member.process.pid}
                if now - member.heard > (HUNG if member.serving else SLOW_START):
                    log.error("worker killed: it does not answer", extra=facts)
                    _send(member, signal.SIGKILL)
                elif member.serving and _silent(member) and member not in named:
                    named.add(member)
                    log.warning("worker does not answer", extra=facts)
            named = {member for member in named if _silent(member)}

    def _signal(self, number: signal.Signals) -> None:
        for member in self._members.values():
            _send(member, number)


def _backoff(in_a_row: int) -> float:
    """Seconds before another try after so many ends in a row, two at least."""
    return min(FIRST_PAUSE * 2.0 ** min(in_a_row - 2, 10), LONGEST_PAUSE)


def _silent(member: Member) -> bool:
    return time.monotonic() - member.heard > SILENT


def _send(member: Member, number: signal.Signals) -> None:
    if member.process.returncode is None:
        member.process.send_signal(number)
