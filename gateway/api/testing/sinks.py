"""What every log sink must do. Subclass `SinkSuite` in a pytest module with a fixture ``bench``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from gateway.api.sink import LogSink


class SinkBench(Protocol):
    """A sink together with the far end of it, in the hands of the test."""

    @property
    def sink(self) -> LogSink: ...

    async def arrived(self) -> list[bytes]:
        """Every line that arrived so far, oldest first, without newlines; torn lines as they are."""

    def fail(self) -> None:
        """From now on the destination refuses everything."""

    def heal(self) -> None:
        """From now on it works again."""


def lines(count: int, text: str = "") -> list[bytes]:
    """Distinct lines as the core makes them."""
    return [b'{"message":"request","number":%d,"text":"%s"}' % (n, text.encode()) for n in range(count)]


async def refused(sink: LogSink, batch: Sequence[bytes]) -> bool:
    """Whether the sink raised instead of taking a batch."""
    try:
        await sink.write(batch)
    except Exception:
        return True
    return False


class SinkSuite:
    """Run by pytest with ``asyncio_mode = auto``, once for each bench."""

    async def test_lines_arrive_whole_and_in_order(self, bench: SinkBench) -> None:
        batches = [lines(1), lines(250), lines(3, "größer ☃")]
        for batch in batches:
            await bench.sink.write(batch)
        assert await bench.arrived() == [line for batch in batches for line in batch]

    async def test_an_empty_batch_is_no_line(self, bench: SinkBench) -> None:
        await bench.sink.write([])
        await bench.sink.write(lines(1))
        assert await bench.arrived() == lines(1)

    async def test_a_long_line_arrives_whole(self, bench: SinkBench) -> None:
        [line] = lines(1, "x" * 20_000)
        await bench.sink.write([line])
        assert await bench.arrived() == [line]

    async def test_what_is_not_delivered_raises(self, bench: SinkBench) -> None:
        bench.fail()
        assert await refused(bench.sink, lines(1))

    async def test_it_heals_without_a_torn_line(self, bench: SinkBench) -> None:
        bench.fail()
        assert await refused(bench.sink, lines(5))
        bench.heal()
        later = lines(2, "later")
        await bench.sink.write(later)
        arrived = await bench.arrived()
        assert arrived[-2:] == later
        assert set(arrived[:-2]) <= set(lines(5)), "only whole lines"

    async def test_the_event_loop_runs_on_while_it_fails(self, bench: SinkBench) -> None:
        bench.fail()
        writing = asyncio.ensure_future(refused(bench.sink, lines(50)))
        turns = 0
        while not writing.done():
            await asyncio.sleep(0)
            turns += 1
        assert writing.result()
        assert turns > 1, "write never gave way to others"

    async def test_it_closes_used_or_unused(self, bench: SinkBench) -> None:
        await bench.sink.close()

    async def test_closing_loses_nothing(self, bench: SinkBench) -> None:
        await bench.sink.write(lines(10))
        await bench.sink.close()
        assert await bench.arrived() == lines(10)
