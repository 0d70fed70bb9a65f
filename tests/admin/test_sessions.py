"""Sessions: how long they last, what ends them, and that every process knows them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from gateway.admin import sessions
from gateway.admin.sessions import ABSOLUTE, FACT, IDLE, Sessions

KEY = b"credentials"


@dataclass
class Site:
    """Processes that hear each other."""

    now: float = 1_800_000_000.0
    processes: list[Sessions] = field(default_factory=list)
    facts: dict[str, tuple[str, float]] = field(default_factory=dict)
    under_way: list[tuple[str, str]] | None = None
    """What was shared and not heard yet, where it takes its time."""

    def process(self, *, alone: bool = False) -> Sessions:
        made = Sessions(self._share, alone=alone, clock=lambda: self.now)
        self.processes.append(made)
        return made

    def _share(self, name: str, value: str, seconds: float) -> None:
        assert name.startswith(FACT)
        self.facts[name] = value, seconds
        if self.under_way is not None:
            self.under_way.append((name, value))
            return
        for process in self.processes:
            process.heard(name, value)

    def arrive(self) -> None:
        """Let what is under way be heard."""
        news, self.under_way = self.under_way or [], None
        for name, value in news:
            for process in self.processes:
                process.heard(name, value)


async def test_it_lasts_while_it_is_used_but_not_for_ever() -> None:
    site = Site()
    process = site.process(alone=True)
    _, token = process.begin(KEY)
    began = site.now
    while site.now + IDLE - 1 < began + ABSOLUTE:
        site.now += IDLE - 1
        assert await process.find(token, KEY) is not None
    site.now = began + ABSOLUTE - 0.5
    assert await process.find(token, KEY) is not None
    site.now = began + ABSOLUTE
    assert await process.find(token, KEY) is None


async def test_idleness_ends_it() -> None:
    site = Site()
    process = site.process(alone=True)
    session, token = process.begin(KEY)
    site.now += IDLE
    assert not process.lasts(session)
    assert await process.find(token, KEY) is None


async def test_other_credentials_end_it() -> None:
    process = Site().process(alone=True)
    _, token = process.begin(KEY)
    assert await process.find(token, b"changed") is None
    assert await process.find(token, KEY) is not None


@pytest.mark.parametrize("token", ["", "x", "…", "\udcff", "0" * 10_000])
async def test_what_is_no_token_finds_nothing(token: str) -> None:
    process = Site().process(alone=True)
    process.begin(KEY)
    assert await process.find(token, KEY) is None


async def test_every_process_knows_it_and_its_end() -> None:
    site = Site()
    one, other = site.process(), site.process()
    _, token = one.begin(KEY)
    found = await other.find(token, KEY)
    assert found is not None
    other.end(found)
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr(sessions, "_SPREADING", 0.0)
        assert await one.find(token, KEY) is None
        assert await other.find(token, KEY) is None


async def test_the_end_is_final_though_a_note_of_its_use_crosses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_SPREADING", 0.0)
    site = Site()
    one, other = site.process(), site.process()
    session, token = one.begin(KEY)
    site.now += 70
    site.under_way = []
    one.end(session)
    assert await other.find(token, KEY) is not None, "it has not heard yet, and tells of the use"
    site.arrive()
    assert await one.find(token, KEY) is None
    assert await other.find(token, KEY) is None


@pytest.mark.parametrize("backwards", [False, True])
async def test_the_end_is_final_for_who_starts_later(
    monkeypatch: pytest.MonkeyPatch, backwards: bool
) -> None:
    monkeypatch.setattr(sessions, "_SPREADING", 0.0)
    site = Site()
    one, other = site.process(), site.process()
    session, token = one.begin(KEY)
    site.now += 70
    site.under_way = []
    one.end(session)
    assert await other.find(token, KEY) is not None
    late = site.process()
    for name, (value, _) in sorted(site.facts.items(), reverse=backwards):
        late.heard(name, value)
    assert await late.find(token, KEY) is None


async def test_an_end_is_remembered_no_longer_than_the_session_could_have_lasted() -> None:
    site = Site()
    process = site.process(alone=True)
    session, _ = process.begin(KEY)
    process.end(session)
    site.now += ABSOLUTE
    process.begin(KEY)
    assert not process._ended


async def test_use_in_one_process_keeps_it_alive_in_the_other() -> None:
    site = Site()
    one, other = site.process(), site.process()
    _, token = one.begin(KEY)
    for _ in range(4):
        site.now += IDLE - 60
        assert await one.find(token, KEY) is not None
    assert await other.find(token, KEY) is not None


async def test_one_that_has_just_begun_elsewhere_is_waited_for() -> None:
    site = Site()
    one = site.process()
    _, token = one.begin(KEY)
    late = Sessions(lambda name, value, seconds: None, alone=False, clock=lambda: site.now)
    looking = asyncio.create_task(late.find(token, KEY))
    await asyncio.sleep(0)
    assert not looking.done()
    for name, (value, _) in site.facts.items():
        late.heard(name, value)
    assert await looking is not None


async def test_what_is_shared_does_not_let_anyone_in() -> None:
    site = Site()
    process = site.process(alone=True)
    _, token = process.begin(KEY)
    ((name, (value, seconds)),) = site.facts.items()
    assert token not in name + value
    assert 0 < seconds <= IDLE
    assert await process.find(name.removeprefix(FACT), KEY) is None


async def test_it_is_bounded() -> None:
    process = Site().process(alone=True)
    tokens = [process.begin(KEY)[1] for _ in range(sessions.MAX_SESSIONS + 5)]
    assert await process.find(tokens[0], KEY) is None
    assert await process.find(tokens[-1], KEY) is not None
    assert len(process._sessions) == sessions.MAX_SESSIONS


async def test_it_is_bounded_where_nobody_logs_in() -> None:
    site = Site()
    one, other = site.process(alone=True), site.process()
    for _ in range(sessions.MAX_SESSIONS + 5):
        one.begin(KEY)
    assert len(other._sessions) == sessions.MAX_SESSIONS
    site.now += IDLE
    one.begin(KEY)
    assert len(other._sessions) == 1
