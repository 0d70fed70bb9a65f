"""A form that is sent on: all parts as they came but the model, as often as wanted."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import AsyncIterator
from tempfile import SpooledTemporaryFile

import pytest

from gateway.request import form as module
from gateway.request.form import GATHERED, IN_MEMORY, PIECE, Form
from tests.daemon.faulty import until
from tests.fakes.multipart import parts_of


@pytest.fixture
async def form() -> AsyncIterator[Form]:
    form = Form()
    yield form
    form.close()


class Disk(SpooledTemporaryFile[bytes]):
    """A disk that takes nothing while ``stuck``, and then what ``fault`` lets it."""

    def __init__(self, max_size: int) -> None:
        super().__init__(max_size)
        self.free = threading.Event()
        self.free.set()
        self.fault: OSError | None = None
        self.waiting = False
        self.written: list[int] = []
        self.closed_in: threading.Thread | None = None

    def write(self, data: bytes | bytearray) -> int:  # type: ignore[override]
        if self.tell() + len(data) > IN_MEMORY:
            self.waiting = True
            assert self.free.wait(2), "the event loop waits for the disk"
            self.waiting = False
            self.written.append(len(data))
            if self.fault is not None:
                raise self.fault
        return super().write(data)

    def close(self) -> None:
        assert not self.waiting, "closed in the middle of a write"
        self.closed_in = threading.current_thread()
        super().close()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk(IN_MEMORY)
    monkeypatch.setattr(module, "SpooledTemporaryFile", lambda max_size: disk)
    return disk


async def add(form: Form, name: str, content: bytes, more: str = "") -> None:
    form.add(name, f'Content-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode())
    await form.write(content)


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, IN_MEMORY + 3 * PIECE + 5])
async def test_it_is_sent_as_often_as_wanted_with_its_true_length(form: Form, size: int) -> None:
    content = (b"0123456789abcdef\r\n" * (size // 18 + 1))[:size]
    await add(form, "model", b"an-alias")
    await add(form, "file", content, '; filename="a.wav"')
    await add(form, "prompt", b"\r\n--")
    await form.finish()
    for model in ("whisper-1", "a-much-longer-name-than-the-alias"):
        body = form.addressed(model)
        sent = b"".join(body.pieces())
        assert len(body) == len(sent) and b"".join(body.pieces()) == sent
        assert max(map(len, body.pieces())) <= PIECE
        parts = [(part.name, part.filename, part.content) for part in parts_of(body.content_type, sent)]
        assert parts == [
            ("model", None, model.encode()),
            ("file", "a.wav", content),
            ("prompt", None, b"\r\n--"),
        ]


async def test_two_sent_at_once_do_not_mix(form: Form) -> None:
    await add(form, "model", b"m")
    await add(form, "file", bytes(range(256)) * 8192)
    await form.finish()
    one, other = form.addressed("one").pieces(), form.addressed("two").pieces()
    mixed = [(a, b) for a, b in zip(one, other, strict=True)]
    assert b"".join(a for a, _ in mixed) == b"".join(form.addressed("one").pieces())
    assert b"".join(b for _, b in mixed) == b"".join(form.addressed("two").pieces())


async def test_what_was_lost_is_an_error_and_no_short_body(form: Form) -> None:
    await add(form, "file", b"x" * (2 * IN_MEMORY))
    await form.finish()
    form._spool.seek(0)
    form._spool.truncate(IN_MEMORY)
    with pytest.raises(OSError, match="cut short"):
        list(form.addressed("m").pieces())


async def test_others_have_their_turn_while_the_disk_takes_what_came(disk: Disk) -> None:
    disk.free.clear()
    asyncio.get_running_loop().call_later(0.05, disk.free.set)
    form = Form()
    form.add("file", b"\r\n")
    for _ in range(4 * IN_MEMORY // PIECE):
        await form.write(bytes(PIECE))
    await form.finish()
    assert max(disk.written) == GATHERED and len(disk.written) <= 3 * IN_MEMORY // GATHERED
    assert b"".join(form.addressed("m").pieces()).count(0) == 4 * IN_MEMORY
    form.close()
    await until(lambda: disk.closed_in)
    assert disk.closed_in is not threading.main_thread()


async def test_what_is_given_up_is_closed_behind_what_is_being_written(disk: Disk) -> None:
    disk.free.clear()
    form = Form()
    writing = asyncio.create_task(add(form, "file", bytes(2 * IN_MEMORY)))
    await until(lambda: disk.waiting)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    form.close()
    await asyncio.sleep(0.02)
    assert disk.closed_in is None
    disk.free.set()
    await until(lambda: disk.closed_in)


async def test_a_full_disk(disk: Disk) -> None:
    disk.fault = OSError(errno.ENOSPC, "no space")
    form = Form()
    with pytest.raises(OSError, match="no space"):
        await add(form, "file", bytes(2 * IN_MEMORY))
    form.close()
    await until(lambda: disk.closed_in)


async def test_what_is_small_needs_no_thread(disk: Disk) -> None:
    form = Form()
    await add(form, "file", bytes(IN_MEMORY))
    await form.finish()
    form.close()
    assert disk.closed_in is threading.main_thread()
