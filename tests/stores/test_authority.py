"""The authority: what it counts, grants, forgets and survives."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import orjson
import pytest

from gateway_stores.windows.authority import LINGER, TURN, WindowAuthority
from gateway_stores.windows.quota import LARGEST, Answer, Ask, Span, Use, answer_from_json, answer_to_json

NOW = 1_700_000_040.5
MINUTE = {"requests": Span(10, 60.0)}
SLOTS = {"parallel": Span(3, 0.0)}


def ask(number: int, holder: str = "a", **values: Any) -> Ask:
    """An ask about one subject that asks for nothing but what is given."""
    return replace(Ask("key:p/k", holder, number, MINUTE, {}, {}, {}), **values)


def test_grants_all_that_is_needed_or_nothing() -> None:
    authority = WindowAuthority()
    both = {**MINUTE, "tokens": Span(100, 60.0)}
    assert exchange(authority, ask(1, spans=both, need={"requests": 1, "tokens": 101})).granted == {}
    answer = exchange(authority, ask(2, spans=both, need={"requests": 1, "tokens": 100}))
    assert answer.granted == {"requests": 1, "tokens": 100}


def test_grants_of_what_is_only_wanted_a_quarter_of_the_rest() -> None:
    authority = WindowAuthority()
    answer = exchange(authority, ask(1, need={"requests": 2}, want={"requests": 100}))
    assert answer.granted == {"requests": 4}
    answer = exchange(authority, ask(1, "b", want={"requests": 1}))
    assert (answer.granted, answer.others, answer.holders) == ({"requests": 1}, {"requests": 4}, 2)


def test_counts_a_use_until_its_bucket_has_left() -> None:
    authority = WindowAuthority()
    uses = [Use(1, "requests", 0.25, 9)]
    answer = exchange(authority, ask(1, uses=uses, need={"requests": 2}))
    assert (answer.acknowledged, answer.granted) == (1, {})
    assert answer.buckets == {"requests": [(60.5, 9)]}
    assert exchange(authority, ask(2, need={"requests": 2}), NOW + 60.25).granted == {}
    assert exchange(authority, ask(3, need={"requests": 2}), NOW + 60.5).granted == {"requests": 2}


def test_whatever_is_used_can_be_written_down() -> None:
    authority = WindowAuthority()
    uses = [Use(number, "requests", number / 4, 2**63) for number in range(1, 240)]
    answer = exchange(authority, ask(1, uses=uses))
    assert sum(amount for _, amount in answer.buckets["requests"]) > 10
    orjson.dumps([answer_to_json(answer), authority.dump()])
    assert exchange(authority, ask(0)).buckets["requests"][0][1] < 2**64


def test_counts_a_use_once_and_heeds_no_late_ask() -> None:
    authority = WindowAuthority()
    late = ask(1, held={"requests": 9}, uses=[Use(1, "requests", 0.0, 3)])
    newer = ask(2, uses=[Use(1, "requests", 0.0, 3), Use(2, "requests", 0.0, 1)])
    assert exchange(authority, newer).acknowledged == 2
    assert exchange(authority, newer) == exchange(authority, late) == Answer(stale=True)
    answer = exchange(authority, ask(3))
    assert [amount for _, amount in answer.buckets["requests"]] == [4]


@pytest.mark.parametrize(("age", "left"), [(4.0, [8, 4]), (5.0, [5, 7])])
def test_takes_back_from_the_bucket_of_that_age_or_else_the_next(age: float, left: list[int]) -> None:
    authority = WindowAuthority()
    exchange(authority, ask(1, uses=[Use(1, "requests", 5.0, 8), Use(2, "requests", 4.0, 7)]))
    exchange(authority, ask(2, uses=[Use(3, "requests", age, -3)]))
    answer = exchange(authority, ask(3))
    assert [amount for _, amount in answer.buckets["requests"]] == left


def test_takes_back_from_the_next_bucket_what_the_first_lacks() -> None:
    authority = WindowAuthority()
    exchange(authority, ask(1, uses=[Use(1, "requests", 5.0, 1), Use(2, "requests", 4.0, 7)]))
    exchange(authority, ask(2, uses=[Use(3, "requests", 5.0, -3)]))
    answer = exchange(authority, ask(3))
    assert [amount for _, amount in answer.buckets["requests"]][-1] == 5


def test_what_is_held_counts_until_its_lease_and_the_window_are_over() -> None:
    authority = WindowAuthority()
    exchange(authority, ask(1, need={"requests": 10}, ttl=4.0))
    assert exchange(authority, ask(1, "b", need={"requests": 1}), NOW + 63.9).granted == {}
    assert exchange(authority, ask(2, "b", need={"requests": 10}), NOW + 64.0).granted == {"requests": 10}


def test_slots_are_free_when_the_lease_is_over() -> None:
    authority = WindowAuthority()
    exchange(authority, ask(1, spans=SLOTS, need={"parallel": 3}, ttl=4.0))
    answer = exchange(authority, ask(1, "b", spans=SLOTS, need={"parallel": 1}), NOW + 3.9)
    assert (answer.granted, answer.others) == ({}, {"parallel": 3})
    answer = exchange(authority, ask(2, "b", spans=SLOTS, need={"parallel": 3}), NOW + 4.0)
    assert (answer.granted, answer.others) == ({"parallel": 3}, {"parallel": 0})


def waits(number: int, holder: str, **values: Any) -> Ask:
    """An ask for a slot, of somebody who asks again if there is none."""
    return ask(number, holder, **{"spans": SLOTS, "need": {"parallel": 1}, "again": 0.3, **values})


def full() -> WindowAuthority:
    """All slots are in use, and ``b`` waits for one since `NOW`."""
    authority = WindowAuthority()
    exchange(authority, ask(1, spans=SLOTS, held={"parallel": 3}))
    assert not exchange(authority, waits(1, "b", again=TURN)).granted
    return authority


def test_a_slot_is_kept_for_who_has_waited_long_enough() -> None:
    authority = full()
    early = exchange(authority, waits(2, "a", held={"parallel": 2}), NOW + TURN / 2)
    assert early.granted == {"parallel": 1}  # for whoever asks first
    assert not exchange(authority, waits(2, "b"), NOW + TURN).granted
    late = exchange(authority, waits(3, "a", held={"parallel": 2}), NOW + TURN)
    assert (late.granted, late.others) == ({}, {"parallel": 1})
    assert exchange(authority, waits(3, "b"), NOW + TURN + 0.1).granted == {"parallel": 1}
    assert exchange(authority, waits(4, "a", held={"parallel": 1}), NOW + TURN + 0.1).granted == {
        "parallel": 1
    }


def test_who_came_first_is_first_to_have_a_slot() -> None:
    authority = full()
    for number, holder in ((1, "c"), (2, "b"), (2, "c")):
        assert not exchange(authority, waits(number, holder, again=TURN), NOW + 0.1 * number).granted
    exchange(authority, ask(2, spans=SLOTS, held={"parallel": 2}), NOW + 0.3)
    for number, holder, granted in ((3, "c", {}), (3, "b", {"parallel": 1})):
        assert exchange(authority, waits(number, holder), NOW + TURN + 0.1).granted == granted, holder


@pytest.mark.parametrize(("late", "granted"), [(0.0, {}), (0.1, {"parallel": 1})])
def test_a_slot_is_kept_for_as_long_as_who_waits_said_and_a_report_of_it_changes_nothing(
    late: float, granted: dict[str, int]
) -> None:
    authority = full()
    exchange(authority, waits(2, "b", again=TURN + 0.01))
    exchange(authority, ask(3, "b", spans=SLOTS), NOW + 0.2)
    answer = exchange(authority, waits(2, "a", held={"parallel": 2}), NOW + TURN + late)
    assert answer.granted == granted


@pytest.mark.parametrize("values", [{"again": 0.0}, {"spans": {**SLOTS, **MINUTE}, "need": {"requests": 11}}])
def test_no_slot_is_kept_for_who_gives_up_or_could_not_use_it(values: dict[str, Any]) -> None:
    authority = full()
    exchange(authority, waits(2, "b", **values))
    answer = exchange(authority, waits(2, "a", held={"parallel": 2}), NOW + TURN)
    assert answer.granted == {"parallel": 1}


def test_a_lost_holder_frees_its_slots_and_may_have_used_the_rest() -> None:
    authority = WindowAuthority()
    spans = {**MINUTE, **SLOTS}
    exchange(authority, ask(1, spans=spans, need={"requests": 10, "parallel": 3}))
    assert authority.lost("a", NOW + 1.0) == ["key:p/k"]
    assert authority.lost("a", NOW + 1.0) == []
    answer = exchange(authority, ask(1, "b", spans=spans), NOW + 1.0)
    assert answer.others == {"requests": 0, "parallel": 0}
    assert [amount for _, amount in answer.buckets["requests"]] == [10]


def test_memory_is_bounded_and_idle_subjects_go() -> None:
    authority = WindowAuthority()
    for step in range(1, 500):
        uses = [Use(step, "requests", 0.0, 1)]
        answer = exchange(authority, ask(step, uses=uses), NOW + step * 0.5)
        assert len(answer.buckets["requests"]) <= 62
    end = NOW + 250.0
    assert authority.sweep(authority.subjects(), end + 30.0) == []
    assert authority.sweep(authority.subjects(), end + LINGER + 4.0) == ["key:p/k"]
    assert authority.state_of("key:p/k") is None


def test_a_restart_forgets_nothing() -> None:
    before, after = WindowAuthority(), WindowAuthority()
    exchange(before, ask(1, need={"requests": 3}, uses=[Use(1, "requests", 30.0, 4)]))
    after.load(json.loads(json.dumps(before.dump())), NOW)
    assert after.dump() == before.dump()
    answer = exchange(after, ask(2, uses=[Use(1, "requests", 30.0, 4)], held={"requests": 3}))
    assert answer.acknowledged == 1
    assert exchange(after, ask(1, "b", need={"requests": 4})).granted == {}
    assert exchange(after, ask(2, "b", need={"requests": 3})).granted == {"requests": 3}


def test_a_restart_with_the_clock_an_hour_back_counts_nothing_for_longer() -> None:
    before, after = WindowAuthority(), WindowAuthority()
    exchange(before, ask(1, need={"requests": 3}, uses=[Use(1, "requests", 0.0, 7)]))
    after.load(before.dump(), NOW - 3600.0)
    answer = exchange(after, ask(1, "b", need={"requests": 10}), NOW - 3600.0 + LINGER + 60.0)
    assert answer.granted == {"requests": 10}


@pytest.mark.parametrize("seconds", [30.0, 45.0, 120.0])
def test_another_length_applies_to_what_is_inside(seconds: float) -> None:
    authority = WindowAuthority()
    exchange(authority, ask(1, uses=[Use(1, "requests", 0.0, 10)]))
    changed = {"requests": Span(10, seconds)}
    needed: dict[str, Any] = {"spans": changed, "need": {"requests": 1}}
    assert exchange(authority, ask(2, **needed), NOW + 1.0).granted == {}
    assert exchange(authority, ask(3, **needed), NOW + seconds - 0.5).granted == {}
    width = max(seconds, 60.0) / 60.0
    assert exchange(authority, ask(4, **needed), NOW + seconds + 2 * width).granted == {"requests": 1}


def test_what_was_used_in_a_long_window_leaves_a_short_one_in_time() -> None:
    """The parts of 30 days are of half a day each."""
    authority, day = WindowAuthority(), 86400.0
    exchange(authority, ask(1, spans={"budget": Span(10, 30 * day)}, uses=[Use(1, "budget", 0.0, 10)]))
    short: dict[str, Any] = {"spans": {"budget": Span(10, 6.0)}, "need": {"budget": 1}}
    assert exchange(authority, ask(2, **short), NOW + 60.0).granted == {}
    assert exchange(authority, ask(3, **short), NOW + 66.5).granted == {"budget": 1}


def exchange(authority: WindowAuthority, one: Ask, now: float = NOW) -> Answer:
    """The answer to one ask."""
    (answer,) = authority.exchange([one], now)
    return answer


def test_who_looks_is_told_how_things_stand_and_leaves_no_trace() -> None:
    authority = WindowAuthority()
    exchange(authority, ask(1, held={"requests": 2}, uses=[Use(1, "requests", 0.25, 3)]))
    before = authority.dump()
    answer = exchange(authority, ask(0, "b"))
    assert answer == Answer(buckets={"requests": [(60.5, 3)]}, others={"requests": 2})
    assert exchange(authority, replace(ask(0), subject="client:new")) == Answer(
        buckets={"requests": []}, others={"requests": 0}, holders=0
    )
    assert authority.dump() == before


@pytest.mark.parametrize("looks", [True, False])
def test_what_a_dead_holder_held_is_told_as_used_for_as_long_as_it_counts(looks: bool) -> None:
    authority = WindowAuthority()
    exchange(authority, ask(1, held={"requests": 4}, uses=[Use(1, "requests", 0.25, 3)]))
    ttl = ask(1).ttl
    for number, (later, used, held) in enumerate(
        [(ttl - 0.5, 3, 4), (ttl, 7, 0), (60.0 + ttl - 0.5, 4, 0), (60.0 + ttl + 1, 0, 0)]
    ):
        answer = exchange(authority, ask(0 if looks else number + 1, "b"), NOW + later)
        assert sum(amount for _, amount in answer.buckets.get("requests", ())) == used, later
        assert answer.others == {"requests": held}, later


def test_who_was_only_held_up_tells_what_it_used_in_place_of_what_it_held() -> None:
    authority = WindowAuthority()
    exchange(authority, ask(1, need={"requests": 6}))
    later = NOW + ask(1).ttl
    assert [amount for _, amount in exchange(authority, ask(1, "b"), later).buckets["requests"]] == [6]
    exchange(authority, ask(2, uses=[Use(1, "requests", 0.25, 1)]), later)
    assert exchange(authority, ask(2, "b", need={"requests": 9}), later).granted == {"requests": 9}


def test_of_an_answer_what_is_known_is_taken_and_no_more_than_can_be_counted() -> None:
    values = answer_to_json(Answer(buckets={"requests": [(60.5, 3)]}, others={"requests": 2}, holders=2))
    assert answer_from_json({**values, "version": 2}) == answer_from_json(values)
    large = answer_from_json({**values, "buckets": {"budget": [[60.5, 2**63 - 1]]}})
    assert large.buckets == {"budget": [(60.5, LARGEST)]}
