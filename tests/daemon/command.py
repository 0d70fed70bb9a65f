"""The ``coo-llm`` command as a subprocess."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.daemon import ROOT

ENVIRON = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"}


@dataclass(frozen=True, slots=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str


async def coo_llm(
    *arguments: str, folder: Path, env: Mapping[str, str] | None = None, stdin: str = ""
) -> Done:
    """Run ``coo-llm`` with ``arguments`` in ``folder`` until it ends, for 30 seconds at most."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", *arguments),
        cwd=folder,
        env={**ENVIRON, **(env or {})},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(30):
            out, err = await process.communicate(stdin.encode())
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())
