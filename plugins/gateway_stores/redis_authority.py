"""The authority over windows in Redis: a script call for each subject, by the server's clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Final

import orjson

from gateway_stores.redis_link import Call, Link, Script
from gateway_stores.windows.quota import BUCKETS, Answer, Ask

SCRIPT: Final = Script("redis_windows.lua")
_EXACT = 2**53
"""Lua has no larger whole numbers: what is larger is taken as this."""


class RedisAuthority:
    """Implements `gateway_stores.windows.quota.Authority`. All asks go out in one round trip (in a cluster:
    to each node); a subject's state is one key, so the subjects of a cluster are spread over its nodes."""

    def __init__(self, link: Link, prefix: str, clock: Callable[[], float] | None = None) -> None:
        self._link = link
        self._prefix = prefix
        self._clock = clock
        """Seconds in place of the server's time; for tests."""

    async def exchange(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        """As `Authority.exchange`."""
        now = () if self._clock is None else (repr(self._clock()),)
        calls = [Call(SCRIPT, f"{{{self._prefix}:{ask.subject}}}", (_packed(ask), *now)) for ask in asks]
        replies = await self._link.run(calls, inf)
        with self._link.reading():
            return [_answer(ask, reply) for ask, reply in zip(asks, replies, strict=True)]


def _packed(ask: Ask) -> bytes:
    return orjson.dumps(
        [
            ask.holder,
            ask.number,
            ask.ttl,
            [[kind, min(span.limit, _EXACT), span.seconds] for kind, span in ask.spans.items()],
            *(
                {kind: min(amount, _EXACT) for kind, amount in wish.items()}
                for wish in (ask.held, ask.need, ask.want)
            ),
            [[number, kind, age, min(amount, _EXACT)] for number, kind, age, amount in ask.uses],
            ask.again,
        ]
    )


def _answer(ask: Ask, reply: bytes) -> Answer:
    stale, *rest = orjson.loads(reply)
    if stale:
        return Answer(stale=True)
    acknowledged, holders, now, found = rest
    granted, others, buckets = {}, {}, {}
    for kind, (amount, held, seconds, flat) in zip(ask.spans, found, strict=True):
        others[kind] = held
        if amount:
            granted[kind] = amount
        if seconds:
            width = seconds / BUCKETS
            pairs = zip(flat[::2], flat[1::2], strict=True)
            buckets[kind] = [((index + 1) * width + seconds - now, used) for index, used in pairs if used]
    return Answer(acknowledged=acknowledged, granted=granted, buckets=buckets, others=others, holders=holders)
