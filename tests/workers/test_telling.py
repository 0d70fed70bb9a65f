"""A worker tells that it lives once a second, and what it has counted as often as that is cheap."""

from __future__ import annotations

import asyncio

import pytest

from gateway.api.testing.clock import ManualClock
from gateway.api.testing.loop import ManualLoop
from gateway.workers.telling import MOST_SIGNS, SIGN_BYTES, keep_telling


def told(metrics: str, seconds: int) -> list[str]:
    """The topics of what is told in so many seconds."""
    topics: list[str] = []

    async def call(topic: str, body: bytes) -> bytes:
        assert topic != "snapshot" or body == f'"{metrics}"'.encode()
        topics.append(topic)
        return b"null"

    async def count() -> object:
        return metrics

    async def tell() -> None:
        async with asyncio.timeout(seconds - 0.5):
            await keep_telling(call, count)

    with (
        asyncio.Runner(loop_factory=lambda: ManualLoop(ManualClock())) as runner,
        pytest.raises(TimeoutError),
    ):
        runner.run(tell())
    return topics


def test_few_metrics_are_told_with_every_sign_of_life() -> None:
    assert told("few", 7) == ["snapshot"] * 7


def test_many_metrics_are_told_less_often_and_it_lives_meanwhile() -> None:
    assert told("x" * (2 * SIGN_BYTES), 7) == [*["snapshot", "alive", "alive"] * 2, "snapshot"]


def test_metrics_without_number_are_told_now_and_then() -> None:
    assert told("x" * (100 * SIGN_BYTES), 2 * MOST_SIGNS) == ["snapshot", *["alive"] * (MOST_SIGNS - 1)] * 2
