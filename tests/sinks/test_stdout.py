"""Standard output: blocked, closed, and read again."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from gateway_sinks import stdout
from gateway_sinks.stdout import Stdout
from tests.sinks.standard_output import StandardOutput


@pytest.fixture
def output() -> Iterator[StandardOutput]:
    with StandardOutput.replaced() as output:
        yield output


async def test_a_line_cut_by_a_full_pipe_is_finished_before_others(output: StandardOutput) -> None:
    sink = Stdout()
    cut, lost = b"a" * 100_000, b"lost"
    with pytest.raises(TimeoutError, match="not read"):
        await sink.write([b"first", cut, lost])
    part = output.read()
    assert part.startswith(b"first\naaa")
    assert len(part) < len(cut)
    await sink.write([b"next"])
    assert part + output.read() == b"first\n" + cut + b"\nnext\n"


async def test_a_cut_line_survives_several_refusals(output: StandardOutput) -> None:
    sink = Stdout()
    cut = b"a" * 150_000
    with pytest.raises(TimeoutError):
        await sink.write([cut])
    with pytest.raises(TimeoutError):
        await sink.write([b"refused"])
    read = output.read()
    with pytest.raises(TimeoutError):
        await sink.write([b"refused"])
    for line in (b"1", b"2"):
        read += output.read()
        await sink.write([line])
    assert read + output.read() == cut + b"\n1\n2\n"


async def test_a_batch_that_ends_between_lines_leaves_nothing_behind(output: StandardOutput) -> None:
    sink = Stdout()
    output.fill()
    with pytest.raises(TimeoutError):
        await sink.write([b"lost"])
    output.read()
    await sink.write([b"next"])
    assert output.read() == b"next\n"


async def test_a_closed_reader_and_a_closed_output_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setattr(stdout, "DESCRIPTOR", writer)
    with pytest.raises(BrokenPipeError):
        await Stdout().write([b"x"])
    os.close(writer)
    with pytest.raises(OSError, match="Bad file descriptor"):
        await Stdout().write([b"x"])
