"""Every installed log sink under the contract's suite, each with a real far end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import entry_points
from pathlib import Path

import orjson
import pytest

from gateway.api.testing.sinks import SinkBench, SinkSuite
from gateway_sinks.jsonl import JsonLines
from gateway_sinks.stdout import Stdout
from gateway_sinks.webhook import TRIES, Webhook
from tests.sinks.receiver import Receiver
from tests.sinks.standard_output import StandardOutput


class FileBench:
    """A real file; it fails by a directory in its place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sink = JsonLines(str(path))

    async def arrived(self) -> list[bytes]:
        return self.path.read_bytes().splitlines() if self.path.is_file() else []

    def fail(self) -> None:
        self.path.mkdir(parents=True)

    def heal(self) -> None:
        self.path.rmdir()


class PipeBench:
    """Standard output as a real pipe; it fails by being full."""

    def __init__(self, output: StandardOutput) -> None:
        self.output = output
        self.sink = Stdout()

    async def arrived(self) -> list[bytes]:
        return self.output.read().splitlines()

    def fail(self) -> None:
        self.output.fill()

    def heal(self) -> None:
        self.output.read()


class WebhookBench:
    """A real HTTP server; it fails with 503 as often as there are tries."""

    def __init__(self, receiver: Receiver, endpoint: str) -> None:
        self.receiver = receiver
        self.sink = Webhook(endpoint, secret="s3cret")
        self.sink.sleep = self._no_sleep

    async def _no_sleep(self, seconds: float) -> None:
        """Waiting is for the real world."""

    async def arrived(self) -> list[bytes]:
        return [
            orjson.dumps(record)
            for body in self.receiver.accepted
            for record in orjson.loads(body)["records"]
        ]

    def fail(self) -> None:
        self.receiver.plan.extend([(503, {})] * TRIES)

    def heal(self) -> None:
        assert not self.receiver.plan, "not every try was made"


@asynccontextmanager
async def file_bench(directory: Path) -> AsyncIterator[SinkBench]:
    bench = FileBench(directory / "logs" / "requests.log")
    yield bench
    await bench.sink.close()


@asynccontextmanager
async def pipe_bench(directory: Path) -> AsyncIterator[SinkBench]:
    with StandardOutput.replaced() as output:
        yield PipeBench(output)


@asynccontextmanager
async def webhook_bench(directory: Path) -> AsyncIterator[SinkBench]:
    receiver = Receiver()
    async with receiver.server() as server:
        bench = WebhookBench(receiver, str(server.make_url("/hook")))
        yield bench
        await bench.sink.close()


BENCHES: dict[str, Callable[[Path], AbstractAsyncContextManager[SinkBench]]] = {
    "jsonl": file_bench,
    "stdout": pipe_bench,
    "webhook": webhook_bench,
}
SINKS = sorted(point.name for point in entry_points(group="coo_llm.log_sinks"))


@pytest.fixture(params=SINKS)
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SinkBench]:
    async with BENCHES[request.param](tmp_path) as made:
        yield made


class TestSinks(SinkSuite):
    """One run of the suite for each entry point; a sink without a bench here is an error."""
