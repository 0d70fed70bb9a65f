"""A gateway whose names are out to do harm: markup, control characters, far too long, from right to left."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.browser.busy import SERVER, Busy, serving
from tests.browser.history import DAY, Served, fill, past
from tests.fakes.openai import FakeOpenAI
from tests.fakes.upstream import Fault

MARKUP = "<img src=x onerror=stranger()>\"'><script>stranger()</script></script>{{7*7}}"
CONTROL = "".join(map(chr, range(1, 32))) + "\x7f\x9b31m\u2028\u2029\ufeff"
LONG = "<b>" + "W" * 5000
TURNED = "\u202egnp.live\u202c\u2066"
BACKWARDS = "שלום עולם"
ADDRESS = "javascript:stranger()"
NAMES = (MARKUP, CONTROL, LONG, TURNED, BACKWARDS, ADDRESS)
PRINTABLE = tuple(name for name in NAMES if name.isprintable())
"""Those that a configuration and a request may hold."""
_RECORDS = 200


@asynccontextmanager
async def hostile_gateway(folder: Path) -> AsyncIterator[Busy]:
    """The gateway: whatever anybody may name is one of `NAMES`, and in its records even what nobody may."""
    served = [Served(name, name, name, name, 100, 1000) for name in NAMES]
    await fill(folder / "data/coo-llm.db", past(_RECORDS, DAY, time.time(), NAMES, served))
    async with FakeOpenAI(keys=("sk-good",)) as upstream:
        config = {
            "server": SERVER,
            "llm_providers": [
                {"id": f"p{i}", "name": name, "type": "openai", "base_url": upstream.url, "model": name}
                | {"api_keys": ["sk-good", f"sk-bad-{i}"], "models": list(PRINTABLE)}
                for i, name in enumerate(PRINTABLE)
            ],
            "api_keys": [
                {"id": f"c{i}", "key": f"sk-c{i}", "description": name} for i, name in enumerate(NAMES)
            ],
            "model_aliases": dict.fromkeys(PRINTABLE, "p0:gpt-4o"),
        }
        async with serving(config, folder) as gateway:
            for i, name in enumerate(PRINTABLE):
                gateway.session.headers["user-agent"] = name
                upstream.script.append(Fault(400, name))
                await gateway.chat(f"c{i}", f"p{i}:{name}"[:200])
                upstream.script.append(Fault(503, name))
                await gateway.recorded(await gateway.chat(f"c{i}", f"p{i}:gpt-4o"))
            yield gateway
