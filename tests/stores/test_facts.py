"""Facts wait until the others can be reached, for as long as they hold; what others told is passed on, each
for itself; and whatever goes wrong once is tried again."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import orjson
import pytest

from gateway.api import Site, StoreUnavailable
from gateway_stores import file_link
from gateway_stores.fact_exchange import FactExchange
from gateway_stores.facts import Untold, pass_on
from gateway_stores.http_client import HttpClient
from gateway_stores.http_facts import HttpFacts
from gateway_stores.redis_address import parse_address
from gateway_stores.redis_facts import RedisFacts
from gateway_stores.redis_link import Link
from tests.daemon.running import until
from tests.fakes.http_store import KEY, HttpStoreServer


class Ears:
    """What was heard, and that it could not be shared."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.failures = 0
        self.site = Site(
            holder="here",
            heard=lambda name, value, seconds: self.heard.append((name, value)),
            failed=self._count,
        )

    def _count(self, operation: str) -> None:
        assert operation == "share"
        self.failures += 1


class Wrong(Link):
    """A Redis that answers, in turn, with each of these; or raises it."""

    def __init__(self, *answers: Any) -> None:
        super().__init__(parse_address("127.0.0.1:1"), 1.0, "coo-llm")
        self.answers = list(answers)

    async def run(self, calls: object, within: float | None = None) -> Any:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_fact_that_cannot_be_taken_in_keeps_no_other_from_it(caplog: pytest.LogCaptureFixture) -> None:
    heard = []

    def hear(name: str, value: str, seconds: float) -> None:
        heard.append((name, int(value)))

    pass_on(Site(heard=hear), [("a", "1", 1.0), ("b", "x", 1.0), ("c", "3", 1.0)])
    assert heard == [("a", 1), ("c", 3)]
    [line] = caplog.records
    assert (line.levelno, line.__dict__["fact"]) == (logging.ERROR, "b")


@pytest.mark.parametrize("wrong", [RuntimeError("a bug"), [[b"1", b"odd"]], [[None]], None, [[]]], ids=repr)
async def test_redis_facts_go_on_after_any_answer(wrong: Any) -> None:
    ears = Ears()
    link = Wrong(wrong, wrong, [[b"1", b"name", b"value", b"9"]], [[b"1"]])
    facts = FactExchange(RedisFacts(link, "f"), lambda: None)
    await facts.open(ears.site)
    assert facts.trouble is not None
    await until(lambda: facts.trouble is None)
    await facts.close()
    assert ears.failures == 2
    assert ears.heard == [("name", "value")]


async def test_http_facts_go_on_after_one_that_cannot_be_taken_in() -> None:
    heard: list[int] = []
    async with HttpStoreServer(time.monotonic) as server:
        client = HttpClient(server.addr, KEY, 1.0)
        facts, others = (FactExchange(HttpFacts(client), lambda: None) for _ in range(2))
        await facts.open(Site(holder="here", heard=lambda name, value, seconds: heard.append(int(value))))
        await others.open(Site(holder="there"))
        for value in ("odd", "1"):
            others.share(f"name {value}", value, 60.0)
        await until(lambda: heard == [1])
        others.share("name", "2", 60.0)
        await until(lambda: heard == [1, 2])
        for one in (facts, others):
            await one.close()
        await client.close()


async def test_file_facts_go_on_after_any_answer() -> None:
    ears = Ears()
    answers = [
        b"null",
        b"{",
        b'{"facts": [["name"]], "number": 1}',
        b'{"facts": [["name", "value", 9]], "number": 1}',
    ]

    async def ask(message: bytes) -> bytes:
        return answers.pop(0) if len(answers) > 1 else answers[0]

    ears.site.ask = ask
    link = file_link.Link()
    await link.open(ears.site, None)
    await until(lambda: bool(ears.heard))
    await link.close()
    assert ears.heard[0] == ("name", "value")


async def test_a_worker_tells_late_only_what_still_holds_and_for_no_longer() -> None:
    told: list[list[Any]] = []
    reachable = False

    async def ask(message: bytes) -> bytes:
        if not reachable:
            raise StoreUnavailable("the supervisor does not answer")
        told.extend(orjson.loads(message)["told"])
        return b'{"facts": [], "number": 0}'

    link = file_link.Link()
    await link.open(Site(ask=ask), None)
    link.share("short", "cooling", 0.3)
    link.share("long", "cooling", 60.0)
    link.share("changed", "cooling", 60.0)
    await asyncio.sleep(0.5)
    link.share("changed", "free", 60.0)
    reachable = True
    await until(lambda: len(told) > 1)
    await link.close()
    assert [fact[:2] for fact in told] == [["long", "cooling"], ["changed", "free"]]
    assert told[0][2] <= 59.5 < told[1][2] <= 60.0


def test_facts_that_were_not_told_wait_but_for_those_with_a_later_value() -> None:
    untold = Untold()
    for name, value in (("a", "1"), ("b", "1"), ("c", "1"), ("a", "2")):
        untold.add(name, value, 60.0)
    with pytest.raises(OSError), untold.telling() as facts:
        assert [fact[:2] for fact in facts] == [("b", "1"), ("c", "1"), ("a", "2")]
        untold.add("b", "2", 60.0)
        raise OSError
    with untold.telling() as facts:
        assert [fact[:2] for fact in facts] == [("c", "1"), ("a", "2"), ("b", "2")]
        untold.add("c", "2", 60.0)
    with untold.telling() as facts:
        assert [fact[:2] for fact in facts] == [("c", "2")]
    assert not untold
