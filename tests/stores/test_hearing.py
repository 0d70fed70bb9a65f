"""Facts that were heard are passed on, each for itself, and whatever goes wrong once is tried again."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from gateway.api import Site
from gateway_stores import file_link
from gateway_stores.hearing import pass_on
from gateway_stores.http_client import HttpClient
from gateway_stores.http_facts import FactExchange
from gateway_stores.redis_facts import RedisFacts
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


class Wrong:
    """A Redis that answers, in turn, with each of these; or raises it."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    async def run(self, calls: object, within: float) -> Any:
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
    facts = RedisFacts(Wrong(wrong, wrong, [[b"1", b"name", b"value", b"9"]], [[b"1"]]), "f")  # type: ignore[arg-type]
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
        facts, others = FactExchange(client), FactExchange(client)
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
