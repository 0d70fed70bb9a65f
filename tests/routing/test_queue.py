"""The waiting room: fair by client, first come first served within one, and woken by what is given back."""

from __future__ import annotations

import asyncio

import pytest

from gateway.routing.queue import Queue

LONG = 60.0


class Keys:
    """``room`` for so many; whoever tries takes one or is refused for ``wait`` seconds."""

    def __init__(self, wait: float = LONG) -> None:
        self.queue = Queue()
        self.room = 0
        self.wait = wait
        self.served: list[str] = []
        self.tries = 0

    async def ask(self, client: str, *, patience: float = LONG, keys: str = "m") -> bool:
        until = asyncio.get_running_loop().time() + patience
        first = not self.queue.waits_at(keys)
        with self.queue.join(keys, client, until) as place:
            while await place.turn(self.wait if first else None):
                first = True
                self.tries += 1
                if self.room:
                    self.room -= 1
                    self.served.append(client)
                    return True
        return False

    def give_back(self, count: int) -> None:
        self.room += count
        self.queue.wake()


async def settle_down() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_clients_take_turns_however_many_of_their_requests_wait() -> None:
    keys = Keys()
    waiting = [asyncio.create_task(keys.ask(client)) for client in "aaaabbc"]
    await settle_down()
    assert (keys.queue.size, keys.tries) == (7, 0)
    keys.give_back(5)
    await settle_down()
    assert keys.served == ["a", "b", "c", "a", "b"]
    assert keys.tries == 6, "nobody tries once one was refused"
    assert keys.queue.size == 2
    keys.give_back(2)
    assert all(await asyncio.gather(*waiting))
    assert (keys.served[5:], keys.queue.size) == (["a", "a"], 0)
    assert not keys.queue.waits_at("m")


async def test_the_first_tries_again_when_it_was_told_to() -> None:
    keys = Keys(wait=0.01)
    waiting = asyncio.create_task(keys.ask("a"))
    await settle_down()
    keys.room = 1
    assert await waiting


async def test_who_is_tired_of_waiting_makes_room_for_the_next() -> None:
    keys = Keys()
    tired = asyncio.create_task(keys.ask("a", patience=0.01))
    await settle_down()
    patient = asyncio.create_task(keys.ask("b"))
    assert await tired is False
    assert keys.queue.size == 1
    keys.give_back(1)
    assert await patient


@pytest.mark.parametrize("called", [False, True])
async def test_who_goes_away_leaves_its_place(called: bool) -> None:
    keys = Keys()
    waiting = [asyncio.create_task(keys.ask(client)) for client in "ab"]
    await settle_down()
    if called:
        keys.give_back(1)
    waiting[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
    if not called:
        keys.give_back(1)
    assert await waiting[1]
    assert (keys.served, keys.queue.size) == (["b"], 0)


async def test_lines_for_different_keys_do_not_wait_for_each_other() -> None:
    keys = Keys()
    blocked = asyncio.create_task(keys.ask("a", keys="m"))
    await settle_down()
    assert not keys.queue.waits_at("n")
    other = asyncio.create_task(keys.ask("a", keys="n"))
    await settle_down()
    keys.give_back(2)
    assert await blocked
    assert await other


async def test_what_is_given_back_while_one_tries_is_not_missed() -> None:
    queue = Queue()
    until = asyncio.get_running_loop().time() + LONG
    with queue.join("m", "a", until) as place:
        turn = asyncio.create_task(place.turn(LONG))
        await settle_down()
        queue.wake()
        assert await turn
        queue.wake()  # while the place is trying, in vain
        assert await place.turn(LONG)
