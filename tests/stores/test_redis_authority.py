"""The script in Redis answers as the authority in Python does, and junk does not break it."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.api.testing.clock import ManualClock
from gateway_stores.redis_address import parse_address
from gateway_stores.redis_authority import RedisAuthority
from gateway_stores.redis_link import Link
from gateway_stores.windows.authority import TURN, WindowAuthority
from gateway_stores.windows.quota import Answer, Ask, Span, Use
from tests.fakes.redis_server import RedisServer

PREFIXES = (f"authority-{number}" for number in itertools.count())
KINDS = ("requests", "tokens", "budget", "parallel")
SECONDS = {"requests": 60.0, "tokens": 60.0, "budget": 3600.0, "parallel": 0.0}
AMOUNTS = st.one_of(st.integers(0, 30), st.integers(0, 2**52))
WISHES = st.dictionaries(st.sampled_from(KINDS), AMOUNTS, max_size=3)


@dataclass(slots=True)
class Step:
    """One ask, and how much later than the one before."""

    after: float
    ask: Ask
    uses: list[tuple[str, float, int]] = field(default_factory=list)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """Numbers run with the history; here they only differ from what is due."""
    spans = {
        kind: Span(draw(AMOUNTS), draw(st.sampled_from([1.0, 1.0, 1.0, 0.5, 1.5, 1 / 3])) * SECONDS[kind])
        for kind in draw(st.lists(st.sampled_from(KINDS), unique=True))
    }
    ask = Ask(
        subject=draw(st.sampled_from(["key:p/k", "client:größer ☃"])),
        holder=draw(st.sampled_from(["a", "b", "c"])),
        number=draw(st.sampled_from([1, 1, 1, 1, 0, -1, 5])),
        spans=spans,
        held=draw(WISHES),
        need=draw(WISHES),
        want=draw(WISHES),
        ttl=draw(st.sampled_from([0.5, 4.0])),
        again=draw(st.sampled_from([0.0, 0.3, 30.0])),
    )
    use = st.tuples(st.sampled_from(KINDS), st.floats(-1, 90), st.integers(-20, 30))
    return Step(draw(st.floats(0, 20)), ask, draw(st.lists(use, max_size=4)))


def forgotten() -> list[Step]:
    """Of a holder that is forgotten: a look, after which it tells again what it used."""
    known, spans = {"requests": 2}, {"requests": Span(20, 60.0)}
    return [
        Step(0.0, Ask("key:p/k", "a", 1, spans, known, {}, {}, ttl=0.5), [("requests", 8.0, 21)]),
        Step(64.0, Ask("key:p/k", "a", 1, {}, {}, {}, {})),
        Step(0.0, Ask("key:p/k", "a", 1, spans, {}, {}, {})),
    ]


def in_line() -> list[Step]:
    """Of two that wait for the slot that a third one has: too short to have it kept, then long enough."""
    spans, one = {"parallel": Span(1, 0.0)}, {"parallel": 1}
    b, c = (Ask("key:p/k", name, 1, spans, {}, one, {}, again=30.0) for name in "bc")
    has, gives = (Ask("key:p/k", "a", 1, spans, held, {}, {}) for held in (one, {}))
    asks = Ask("key:p/k", "a", 1, spans, {}, one, {})
    order = [has, b, c, gives, asks, c, b, asks, gives, c, asks, b, asks]
    return [Step(TURN if place in (3, 7, 9) else 0.0, ask) for place, ask in enumerate(order)]


@settings(max_examples=60, deadline=None)
@example(history=in_line(), unheard=set())
@example(history=forgotten(), unheard=set())
@given(history=st.lists(steps(), max_size=25), unheard=st.sets(st.integers(0, 24)))
def test_any_history_is_answered_as_in_python(
    shared_redis: RedisServer, history: list[Step], unheard: set[int]
) -> None:
    # What hangs is a failure of its own: a timeout of the whole test is one more example to Hypothesis.
    asyncio.run(asyncio.wait_for(_compare(shared_redis, history, unheard), 30.0))


async def _compare(server: RedisServer, history: list[Step], unheard: set[int]) -> None:
    link = Link(parse_address(server.address), 5.0, "coo-llm")
    try:
        await _play(link, history, unheard)
    finally:
        await link.close()


async def _play(link: Link, history: list[Step], unheard: set[int]) -> None:
    clock, model = ManualClock(1_700_000_040.5), WindowAuthority()
    authority = RedisAuthority(link, next(PREFIXES), clock)
    numbers: dict[tuple[str, str], int] = {}
    used: dict[tuple[str, str], list[Use]] = {}
    for place, step in enumerate(history):
        clock.advance(step.after)
        ask, of = replace(step.ask), (step.ask.subject, step.ask.holder)  # an example is played again
        ask.number += numbers.get(of, 0)
        numbers[of] = max(ask.number, numbers.get(of, 0))
        uses = used.setdefault(of, [])
        for use in step.uses:
            uses.append(Use(len(uses) + 1, *use))
        ask.uses = uses[-6:]
        look = replace(ask, number=0, uses=())
        for one in (look, ask):  # an ask whose number comes to 0 only looks, too
            [answer] = await authority.exchange([one])
            assert [answer if one.number else _whole(answer)] == model.exchange([one], clock.now)
        if place in unheard and ask.number:
            assert await authority.exchange([ask]) == [Answer(stale=True)]


def _whole(answer: Answer) -> Answer:
    """The buckets of each window as one: the sum, which leaves with the last."""
    sums = {
        kind: [(found[-1][0], sum(amount for _, amount in found))] if found else []
        for kind, found in answer.buckets.items()
    }
    return replace(answer, buckets=sums)


JUNK: dict[str, tuple[str | bytes | int, ...]] = {
    "text": ("SET", "{key}", "return redis.call('FLUSHALL')"),
    "bytes": ("SET", "{key}", b"\x80\x04\x95\xff\xc1"),
    "a number": ("SET", "{key}", 5),
    "other MessagePack": ("SET", "{key}", b"\x92\x81\xa1a\x93\x01\x02\x03\x90"),
    "a list": ("RPUSH", "{key}", "a", "b"),
    "a hash": ("HSET", "{key}", "a", "b"),
}


@pytest.mark.parametrize("kind", JUNK)
async def test_what_is_not_ours_is_overwritten(shared_redis: RedisServer, kind: str) -> None:
    prefix = next(PREFIXES)
    key = f"{{{prefix}:key:p/k}}"
    words = (word.format(key=key) if isinstance(word, str) else word for word in JUNK[kind])
    shared_redis.command(*words)
    link = Link(parse_address(shared_redis.address), 5.0, "coo-llm")
    authority = RedisAuthority(link, prefix)
    spans, need = {"requests": Span(10, 60.0)}, {"requests": 3}
    [answer] = await authority.exchange([Ask("key:p/k", "a", 1, spans, {}, need, {})])
    assert answer.granted == need
    [answer] = await authority.exchange([Ask("key:p/k", "b", 1, spans, {}, {}, {})])
    assert answer.others == need
    await link.close()


async def test_what_is_kept_expires_by_itself(shared_redis: RedisServer) -> None:
    prefix = next(PREFIXES)
    link = Link(parse_address(shared_redis.address), 5.0, "coo-llm")
    spans = {"requests": Span(10, 60.0), "session": Span(10, 3600.0)}
    await RedisAuthority(link, prefix).exchange([Ask("key:p/k", "a", 1, spans, {}, {}, {})])
    assert 3_600_000 < shared_redis.command("PTTL", f"{{{prefix}:key:p/k}}") < 3_900_000
    await link.close()


async def test_numbers_that_are_too_large_are_taken_as_the_largest(shared_redis: RedisServer) -> None:
    link = Link(parse_address(shared_redis.address), 5.0, "coo-llm")
    spans = {"tokens": Span(10**30, 60.0)}
    ask = Ask("key:p/k", "a", 1, spans, {}, {"tokens": 10**30}, {}, [Use(1, "tokens", 0.0, 5)])
    authority = RedisAuthority(link, next(PREFIXES))
    assert (await authority.exchange([ask]))[0].granted == {}
    ask = Ask("key:p/k", "a", 2, spans, {}, {"tokens": 2**53 - 5}, {})
    assert (await authority.exchange([ask]))[0].granted == {"tokens": 2**53 - 5}
    await link.close()
