"""What is measured: the gateway, or nginx in its place."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from tests.bench import nginx
from tests.bench.config import Shape, config
from tests.bench.load import Result, Spec
from tests.bench.measure import LOAD_CORE, SERVER_CORE, Void
from tests.bench.work import Work
from tests.browser.history import DAY, Served, fill, past
from tests.fakes.daemon import ROOT, Daemon
from tests.fakes.ports import free_port


@dataclass(frozen=True, slots=True)
class Target:
    """A running server."""

    name: str
    port: int
    pid: int
    bare: bool
    """A proxy that knows nothing: it is asked for the mock's own path."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def path(self, work: Work) -> str:
        return work.path if self.bare else "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Plan:
    """How thoroughly to measure, where to keep files, and whether nginx stands in for the gateway."""

    folder: Path
    runs: int
    seconds: int
    control: bool = False
    many: int = 100_000
    """Requests after which memory is read, and usage records that a dashboard looks at."""


@asynccontextmanager
async def bare(to: int, folder: Path, *, buffering: bool = True) -> AsyncIterator[Target]:
    """nginx as a reverse proxy in front of the mock at port ``to``."""
    async with nginx.proxy(to, folder, buffering=buffering) as (port, pid):
        yield Target("nginx", port, pid, True)


@asynccontextmanager
async def gateway(
    to: int, plan: Plan, shape: Shape, *, cores: Sequence[str] = SERVER_CORE, profiled: bool = False
) -> AsyncIterator[Target]:
    """The gateway configured to ``shape``, its providers at port ``to``; in a control run, nginx. ``cores``:
    a command prefix that says where it runs."""
    if plan.control:
        async with nginx.proxy(to, plan.folder, buffering=False) as (port, pid):
            yield Target("control", port, pid, True)
        return
    folder = plan.folder / f"gateway-{free_port()}"
    folder.mkdir()
    if shape.records:
        await _remember(folder, shape)
    module = ("-m", "tests.bench.profiled") if profiled else ("-m", "gateway")
    daemon = Daemon(config(f"http://127.0.0.1:{to}", shape), folder, wrapper=cores, module=module)
    async with daemon:
        yield Target("gateway", daemon.port, daemon.pid, False)
    if profiled:
        print(daemon.stderr.partition("function calls")[2])


async def _remember(folder: Path, shape: Shape) -> None:
    """Begin with usage records of the last month."""
    served = [
        Served(f"p{n}", f"p{n}-{n}", f"{kind}-bench", f"alias-{n}", 900.0, 5)
        for n, kind in enumerate(shape.kinds)
    ]
    clients = [f"c{number}" for number in range(50)]
    await fill(folder / "data" / "coo-llm.db", past(shape.records, 29 * DAY, time.time(), clients, served))


@asynccontextmanager
async def stream_mock() -> AsyncIterator[int]:
    """The mock upstream of streams on the load's core; gives its port."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *LOAD_CORE, sys.executable, "-m", "tests.bench.mock", str(port), cwd=ROOT
    )
    try:
        await nginx.listening(port, process)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def generate(spec: Spec) -> Result:
    """Run the load generator on its core. Raises `Void`."""
    process = await asyncio.create_subprocess_exec(
        *LOAD_CORE,
        *(sys.executable, "-m", "tests.bench.load"),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate(orjson.dumps(asdict(spec)))
    if not output:
        raise Void(f"the load generator ended with {process.returncode}")
    result = orjson.loads(output)
    if "void" in result:
        raise Void(result["void"])
    return Result(**result)
