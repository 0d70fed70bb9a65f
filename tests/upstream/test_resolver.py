"""Tests of look-ups and their cache."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gateway.upstream.failure import FailureKind, UpstreamFailure
from gateway.upstream.resolver import FRESH, STALE, Resolver


class Names:
    """A name service that counts its questions, and a clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked: list[str] = []
        self.answer: Sequence[str] | Exception = ["10.0.0.1"]
        self.waiting = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.resolver = Resolver(self.look_up, lambda: self.now)

    async def look_up(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        self.waiting.set()
        await self.open.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_remembered_for_a_while() -> None:
    names = Names()
    assert await names.resolver.resolve("a") == ["10.0.0.1"]
    names.answer = ["10.0.0.2"]
    names.now += FRESH - 1
    assert await names.resolver.resolve("a") == ["10.0.0.1"]
    names.now += 1
    assert await names.resolver.resolve("a") == ["10.0.0.2"]
    assert await names.resolver.resolve("b") == ["10.0.0.2"]
    assert names.asked == ["a", "a", "b"]


@pytest.mark.parametrize(
    "trouble", [OSError("no such host"), UnicodeError("label too long"), TimeoutError(), []]
)
async def test_stale_answers_stand_in(trouble: Exception | list[str]) -> None:
    names = Names()
    await names.resolver.resolve("a")
    names.answer = trouble
    names.now += STALE - 1
    assert await names.resolver.resolve("a") == ["10.0.0.1"]
    names.now += 1
    with pytest.raises(UpstreamFailure) as caught:
        await names.resolver.resolve("a")
    assert caught.value.kind is FailureKind.DNS
    names.answer = ["10.0.0.3"]
    assert await names.resolver.resolve("a") == ["10.0.0.3"]


async def test_waiting_callers_share_a_look_up() -> None:
    names = Names()
    names.open.clear()
    first, second, third = (asyncio.create_task(names.resolver.resolve("a")) for _ in range(3))
    await names.waiting.wait()
    first.cancel()
    names.open.set()
    assert await second == await third == ["10.0.0.1"]
    with pytest.raises(asyncio.CancelledError):
        await first
    assert names.asked == ["a"]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_addresses_need_no_look_up(address: str) -> None:
    names = Names()
    assert await names.resolver.resolve(address) == (address,)
    assert names.asked == []


async def test_system_look_up() -> None:
    addresses = await Resolver().resolve("localhost")
    assert set(addresses) <= {"127.0.0.1", "::1"}
    assert len(set(addresses)) == len(addresses)
