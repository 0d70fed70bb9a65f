"""Hashes of passwords: what they cost, and that checking them takes nothing from others."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest
from argon2 import PasswordHasher, extract_parameters

from gateway.passwords import WAITING, PasswordChecks, TooMany, hashed, matches

PASSWORD = "open sesame"


class Slow:
    """A check that lasts until it is let go; it says in which thread, and how nice that is."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.threads: list[tuple[int, int]] = []

    def __call__(self, hash_: str, given: str) -> bool:
        thread = threading.get_native_id()
        self.threads.append((thread, os.getpriority(os.PRIO_PROCESS, thread)))
        assert self.go_on.wait(10)
        return hash_ == given


def test_a_new_hash_asks_for_what_owasp_recommends_and_no_more() -> None:
    wanted = extract_parameters(hashed(PASSWORD))
    assert (wanted.type.name, wanted.memory_cost, wanted.time_cost, wanted.parallelism) == ("ID", 19456, 2, 1)


@pytest.mark.parametrize("older", [PasswordHasher(), PasswordHasher(time_cost=1, memory_cost=64)])
def test_hashes_with_other_parameters_stay_valid(older: PasswordHasher) -> None:
    assert matches(older.hash(PASSWORD), PASSWORD)
    assert not matches(older.hash(PASSWORD), "wrong")


async def test_checks_are_done_one_at_a_time_in_a_thread_that_gives_way() -> None:
    slow = Slow()
    checks = PasswordChecks(slow)
    both = [asyncio.ensure_future(checks.check("a", given)) for given in ("a", "b")]
    await asyncio.sleep(0.05)
    assert len(slow.threads) == 1
    slow.go_on.set()
    assert await asyncio.gather(*both) == [True, False]
    assert len(set(slow.threads)) == 1
    assert slow.threads[0][1] > os.getpriority(os.PRIO_PROCESS, 0)


async def test_few_wait_and_more_are_refused_at_once() -> None:
    slow = Slow()
    checks = PasswordChecks(slow)
    waiting = [asyncio.ensure_future(checks.check("a", "a")) for _ in range(WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(TooMany):
        await checks.check("a", "a")
    waiting.pop().cancel()  # one who went away makes room
    await asyncio.sleep(0)
    waiting.append(asyncio.ensure_future(checks.check("a", "a")))
    slow.go_on.set()
    assert await asyncio.gather(*waiting) == [True] * WAITING
    assert await checks.check("a", "a")
