"""Facts that gateways at one Redis tell each other."""

from __future__ import annotations

import asyncio
import itertools

from gateway.api import Site
from gateway_stores.fact_exchange import FactExchange
from gateway_stores.redis_address import parse_address
from gateway_stores.redis_facts import RedisFacts
from gateway_stores.redis_link import Link
from tests.fakes.redis_server import RedisServer

BASES = (f"facts-{number}:{{facts}}" for number in itertools.count())


class Listener:
    """A process that shares facts, and what it hears."""

    def __init__(self, server: RedisServer, base: str, holder: str) -> None:
        self.link = Link(parse_address(server.address), 5.0, "coo-llm")
        self.facts = FactExchange(RedisFacts(self.link, base), lambda: None)
        self.heard: asyncio.Queue[tuple[str, str, float]] = asyncio.Queue()
        self.site = Site(holder=holder, heard=lambda *fact: self.heard.put_nowait(fact))

    async def __aenter__(self) -> FactExchange:
        await self.facts.open(self.site)
        return self.facts

    async def __aexit__(self, *exc: object) -> None:
        await self.facts.close()
        await self.link.close()


async def hears(listener: Listener) -> tuple[str, str]:
    """The next fact that it hears, within a second."""
    name, value, seconds = await asyncio.wait_for(listener.heard.get(), 1.0)
    assert 50.0 < seconds <= 60.0
    return name, value


async def test_others_hear_what_one_says_and_later_comers_what_still_holds(shared_redis: RedisServer) -> None:
    base = next(BASES)
    one, other, late = (Listener(shared_redis, base, holder) for holder in ("one", "other", "late"))
    async with one as facts, other:
        facts.share("cool key:p/größer", "30 ☃", 60.0)
        facts.share("short", "gone", 0.01)
        assert await hears(other) == ("cool key:p/größer", "30 ☃")
        facts.share("cool key:p/größer", "40", 60.0)
        assert await hears(other) == ("cool key:p/größer", "40")
        async with late:
            assert await hears(late) == ("cool key:p/größer", "40")
    assert one.heard.empty() and other.heard.empty() and late.heard.empty()


async def test_of_two_values_said_at_once_the_later_counts(shared_redis: RedisServer) -> None:
    base = next(BASES)
    one, other = Listener(shared_redis, base, "one"), Listener(shared_redis, base, "other")
    async with other, one as facts:
        facts.share("name", "earlier", 60.0)
        facts.share("name", "later", 60.0)
        assert await hears(other) == ("name", "later")
    assert other.heard.empty()


async def test_what_was_said_last_is_sent_when_closing(shared_redis: RedisServer) -> None:
    base = next(BASES)
    one, other = Listener(shared_redis, base, "one"), Listener(shared_redis, base, "other")
    async with one as facts:
        facts.share("name", "value", 60.0)
    async with other:
        assert await hears(other) == ("name", "value")


async def test_goes_on_after_everything_was_lost(own_redis: RedisServer) -> None:
    one, other = Listener(own_redis, "f", "one"), Listener(own_redis, "f", "other")
    async with one as facts, other:
        facts.share("name", "1", 60.0)
        assert await hears(other) == ("name", "1")
        for spoilt in (["FLUSHALL"], ["SET", "f:facts", "x"], ["SET", "f:numbers", "x"], ["SCRIPT", "FLUSH"]):
            own_redis.command(*spoilt)
            facts.share("name", str(spoilt), 60.0)
            assert await hears(other) == ("name", str(spoilt))


async def test_what_is_over_is_forgotten_though_others_hold_for_long(shared_redis: RedisServer) -> None:
    base = next(BASES)
    link = Link(parse_address(shared_redis.address), 5.0, "coo-llm")
    facts = RedisFacts(link, base)
    await facts.exchange("one", [(f"long {number}", "", 3600.0) for number in range(150)])
    await facts.exchange("one", [("over", "", 0.0)])
    for _ in range(1000):
        await facts.exchange("one", [("tick", "", 60.0)])
        if not shared_redis.command("HEXISTS", f"{base}:facts", "over"):
            break
    assert shared_redis.command("HLEN", f"{base}:facts") == 151
    await link.close()


async def test_keys_expire_by_themselves(shared_redis: RedisServer) -> None:
    base = next(BASES)
    async with Listener(shared_redis, base, "one") as facts:
        facts.share("name", "value", 60.0)
    for key in (f"{base}:facts", f"{base}:numbers"):
        assert 50_000 < shared_redis.command("PTTL", key) <= 61_000
