"""Usage records of days gone by, put straight into a file store: charts and lists need something to show."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from gateway.api import Attempt, Record, Site
from gateway_stores.file import FileStore

DAY = 86400.0
_BATCH = 5000
_FAILURES = ((429, "rate_limit_exceeded", "limited"), (502, "upstream_error", "failed"))
_OUTAGES = 0.02
_STREAMED = 0.4


@dataclass(frozen=True, slots=True)
class Served:
    """A model as a provider's key serves it, and how that goes on the whole."""

    provider: str
    key: str
    model: str
    alias: str
    ms: float
    """Usual time to the whole answer."""
    nano_per_token: int | None
    """None: its price is not known."""


def past(
    count: int, span: float, now: float, clients: Sequence[str], served: Sequence[Served]
) -> Iterator[Record]:
    """``count`` records of the ``span`` seconds before ``now``, the same in every run, busiest now."""
    chance = random.Random(count)
    for i in range(count):
        ago = span - span * i / count
        ago -= DAY / 8 * math.sin(ago / DAY * 2 * math.pi) if span > DAY else 0
        yield _record(chance, now - ago, chance.choice(clients), chance.choice(served))


def _record(chance: random.Random, moment: float, client: str, served: Served) -> Record:
    ms = served.ms * chance.lognormvariate(0, 0.5)
    tokens = chance.randint(20, 3000), chance.randint(5, 800)
    failed = chance.random() < _OUTAGES
    status, error, outcome = chance.choice(_FAILURES) if failed else (200, None, "ok")
    stream = chance.random() < _STREAMED
    price = served.nano_per_token
    return Record(
        time=moment,
        config_version="5e1f0c9a7b3d",
        request_id=f"req-{chance.getrandbits(64):016x}",
        client=client,
        operation="chat",
        alias=served.alias,
        provider=served.provider,
        key=served.key,
        model=served.model,
        status=status,
        error=error,
        attempts=[Attempt(served.provider, served.key, served.model, status, outcome, round(ms, 1))],
        stream=stream,
        input_tokens=0 if failed else tokens[0],
        output_tokens=0 if failed else tokens[1],
        cost_nano_usd=None if price is None else 0 if failed else sum(tokens) * price,
        first_token_ms=round(ms / 4, 1) if stream and not failed else None,
        total_ms=round(ms + 1, 1),
        overhead_ms=0.4,
    )


async def fill(path: Path, records: Iterable[Record]) -> None:
    """Keep ``records`` in the file store at ``path``, which no gateway uses at the time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    store = FileStore(path=str(path))
    await store.open(Site())
    left = iter(records)
    while batch := list(islice(left, _BATCH)):
        await store.append(batch)
    await store.close()
