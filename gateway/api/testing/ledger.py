"""Conformance suite for usage records in stores: subclass `LedgerConformance` and say how to make yours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import Attempt, Dimension, Filter, Record, Site, Store, TooOld, Total
from gateway.api.ledger import DIMENSIONS, LARGEST_COST, LARGEST_SUM, group_of
from gateway.api.record import first_id
from gateway.api.testing.clock import ManualClock

BEGINNING = 1_700_000_040.0
"""A whole minute, two minutes before an hour."""
SPAN = 480
TICKS = st.integers(0, SPAN * 4).map(lambda quarter: BEGINNING + quarter / 4)
NAMES = ("", "a", "b")


@st.composite
def records(draw: st.DrawFn) -> list[Record]:
    """Records of some minutes, each of its own id, in no order."""
    return [_record(draw, number) for number in range(draw(st.integers(0, 12)))]


def _record(draw: st.DrawFn, number: int) -> Record:
    time = draw(TICKS)
    name = st.sampled_from(NAMES)
    tokens = st.integers(0, 2**40)
    milliseconds = st.one_of(st.sampled_from([0.0, 10.0, 10.0005, 300_000.5]), st.floats(0, 1e7))
    return Record(
        time=time,
        config_version="v1",
        request_id=f"r-{draw(st.integers(0, 3))}",
        client=draw(name),
        operation="chat",
        alias="m",
        provider=draw(name) or None,
        key=draw(name) or None,
        model=draw(name) or None,
        status=draw(st.sampled_from([200, 404, 429, 499, 502])),
        error=draw(st.sampled_from([None, "model_not_found", "upstream_error"])),
        attempts=[Attempt("a", "k", "m", 200, "ok", 1.5)] * draw(st.integers(0, 2)),
        input_tokens=draw(tokens),
        cached_tokens=draw(tokens),
        output_tokens=draw(tokens),
        reasoning_tokens=draw(tokens),
        cost_nano_usd=draw(st.one_of(st.none(), st.integers(0, 2**50))),
        first_token_ms=draw(st.one_of(st.none(), milliseconds)),
        total_ms=draw(milliseconds),
        id=f"{first_id(time)}{number:012x}",
    )


@st.composite
def ranges(draw: st.DrawFn) -> Filter:
    """A filter that totals heed: a range of time, and names."""
    start, end = draw(st.none() | TICKS), draw(st.none() | TICKS)
    client, provider, key, model = (draw(st.none() | st.sampled_from(NAMES)) for _ in DIMENSIONS)
    return Filter(start, end, client, provider, key, model)


@st.composite
def filters(draw: st.DrawFn) -> Filter:
    """A filter of any kind."""
    return replace(
        draw(ranges()),
        status=draw(st.sampled_from([None, 2, 4, 404, 502])),
        error=draw(st.sampled_from([None, "model_not_found"])),
        slower_than_ms=draw(st.sampled_from([None, 10.0, 1000.0])),
        dearer_than_nano=draw(st.sampled_from([None, 0, 2**30])),
    )


GROUPINGS: st.SearchStrategy[list[Dimension]] = st.lists(st.sampled_from(DIMENSIONS), unique=True)
BATCHES = st.lists(st.integers(1, 4), max_size=4)


class LedgerConformance:
    """What every store must do with usage records. Each test opens a fresh, empty store."""

    keeps_totals = True
    """Whether totals outlive their records; a store that persists must."""
    ledger_examples = 40

    def make_store(self, clock: ManualClock) -> Store:
        """A store not opened yet, empty, that takes its time from ``clock`` where it needs any."""
        raise NotImplementedError

    @asynccontextmanager
    async def opened(self, clock: ManualClock, site: Site | None = None) -> AsyncIterator[Store]:
        store = self.make_store(clock)
        await store.open(site or Site())
        try:
            yield store
        finally:
            await store.close()

    def test_totals_are_the_sum_of_the_records(self) -> None:
        async def check(kept: list[Record], filter: Filter, group_by: list[Dimension]) -> None:
            async with self.opened(ManualClock()) as store:
                await store.append(kept)
                assert await _totals(store, filter, group_by) == summed(kept, filter, group_by)

        self._for_any(check, records(), ranges(), GROUPINGS)

    def test_repeats_double_nothing(self) -> None:
        async def check(kept: list[Record], sizes: list[int], other: list[int]) -> None:
            async with self.opened(ManualClock()) as store:
                for batch in (*_cut(kept, sizes), *_cut(kept[::-1], other), kept + kept):
                    await store.append(batch)
                everything = summed(kept, Filter(), DIMENSIONS)
                assert await _totals(store, Filter(), DIMENSIONS) == everything
                assert len(await store.requests(Filter(), 100)) == len(kept)

        self._for_any(check, records(), BATCHES, BATCHES)

    def test_pages_have_each_record_that_matches_once_newest_first(self) -> None:
        async def check(kept: list[Record], filter: Filter, size: int) -> None:
            async with self.opened(ManualClock()) as store:
                await store.append(kept)
                found: list[Record] = []
                while page := await store.requests(filter, size, found[-1].id if found else None):
                    assert len(page) <= size
                    found += page
            matching = [record for record in kept if filter.matches(record)]
            assert found == sorted(matching, key=lambda record: record.id, reverse=True)

        self._for_any(check, records(), filters(), st.integers(1, 5))

    def test_a_series_is_the_totals_of_its_steps(self) -> None:
        async def check(kept: list[Record], filter: Filter, minutes: int, group_by: list[Dimension]) -> None:
            filter = replace(filter, start=filter.start or BEGINNING, end=filter.end or BEGINNING + SPAN)
            assert filter.start is not None
            step = minutes * 60.0
            expected: dict[tuple[float, tuple[str, ...]], Total] = {}
            for record in kept:
                if filter.matches(record):
                    begins = filter.start + (record.time - filter.start) // step * step
                    group = group_of(record, group_by)
                    expected.setdefault((begins, group), Total(group)).count(record)
            async with self.opened(ManualClock()) as store:
                await store.append(kept)
                found = await store.series(filter, step, group_by)
            assert found == [(begins, expected[begins, group]) for begins, group in sorted(expected)]

        self._for_any(check, records(), ranges(), st.sampled_from([1, 2, 60, 1440]), GROUPINGS)

    def test_totals_outlive_their_records(self) -> None:
        async def check(kept: list[Record], pruned: float, group_by: list[Dimension]) -> None:
            async with self.opened(ManualClock()) as store:
                await store.append(kept)
                while await store.prune(pruned, 0.0):
                    pass
                left = [record for record in kept if record.time >= pruned]
                assert {one.id for one in await store.requests(Filter(), 100)} == {one.id for one in left}
                if not self.keeps_totals:
                    return
                for filter in (Filter(), Filter(BEGINNING + 60, BEGINNING + 240)):
                    assert await _totals(store, filter, group_by) == summed(kept, filter, group_by)

        self._for_any(check, records(), TICKS, GROUPINGS)

    def test_what_was_pruned_and_comes_again_is_not_counted_again(self) -> None:
        async def check(kept: list[Record], pruned: float) -> None:
            async with self.opened(ManualClock()) as store:
                await store.append(kept)
                while await store.prune(pruned, 0.0):
                    pass
                before = await _totals(store, Filter(), DIMENSIONS)
                gone = {record.id for record in kept if record.time < pruned}
                assert {record.id for record in await _too_old(store, kept)} == gone
                assert await _totals(store, Filter(), DIMENSIONS) == before
                found = await store.requests(Filter(), 100)
                assert {one.id for one in found} == {one.id for one in kept} - gone

        self._for_any(check, records(), TICKS)

    async def test_a_record_that_comes_too_late_is_given_back_and_the_others_are_kept(self) -> None:
        async with self.opened(ManualClock()) as store:
            await store.append([plain(0), plain(200), plain(600)])
            while await store.prune(BEGINNING + 300, 0.0):
                pass
            expected = await _totals(store, Filter(), [])
            assert await _too_old(store, [plain(660), plain(30), plain(199)]) == [plain(30), plain(199)]
            assert await _too_old(store, [plain(201), plain(600)]) == []
            for second in (660, 201):
                expected[()].count(plain(second))
            assert await _totals(store, Filter(), []) == expected
            found = await store.requests(Filter(), 9)
            assert found == [plain(second) for second in (660, 600, 201)]

    async def test_a_clock_that_was_wrong_when_records_were_pruned_makes_none_come_too_late(self) -> None:
        async with self.opened(ManualClock()) as store:
            await store.append([plain(0)])
            while await store.prune(BEGINNING + 10**8, 0.0):
                pass
            await store.append([plain(60)])
            assert await store.requests(Filter(), 9) == [plain(60)]

    async def test_a_range_over_pruned_records_is_widened_to_whole_minutes(self) -> None:
        if not self.keeps_totals:
            return
        kept = [plain(number) for number in range(-1, 121, 10)]
        async with self.opened(ManualClock()) as store:
            await store.append(kept)
            await store.prune(BEGINNING + 3600, 0.0)
            filter, widened = Filter(BEGINNING + 30, BEGINNING + 31), Filter(BEGINNING, BEGINNING + 60)
            assert await _totals(store, filter, []) == summed(kept, widened, [])

    async def test_old_totals_go_as_well(self) -> None:
        async with self.opened(ManualClock()) as store:
            await store.append([plain(0), plain(86_400 * 3)])
            while await store.prune(BEGINNING + 86_400, BEGINNING + 86_400):
                pass
            assert await _totals(store, Filter(), []) == summed([plain(86_400 * 3)], Filter(), [])

    async def test_totals_look_at_times_and_dimensions_only(self) -> None:
        async with self.opened(ManualClock()) as store:
            await store.append([plain(0)])
            filter = Filter(status=500, error="none", slower_than_ms=1e9, dearer_than_nano=10**18)
            assert await _totals(store, filter, []) == summed([plain(0)], Filter(), [])
            filter = replace(filter, start=BEGINNING - 600, end=BEGINNING + 600)
            assert len(await store.series(filter, 60.0)) == 1

    async def test_absurd_costs_stop_nobodys_accounting(self) -> None:
        def dear(number: int) -> Record:
            record = replace(plain(number % 240), client="dear", cost_nano_usd=LARGEST_COST)
            record.id = f"{first_id(record.time)}{number:012x}"
            return record

        kept = [*map(dear, range(1200)), plain(1), plain(241), replace(dear(1200), key="k", cost_nano_usd=7)]
        async with self.opened(ManualClock()) as store:
            for batch in _cut(kept, [1023, 1, 100]):
                await store.append(batch)
            await store.append([plain(600)])  # by now the others are rolled up, where that is done
            kept.append(plain(600))
            groupings: list[list[Dimension]] = [[], ["client"], ["client", "key"]]
            for group_by in groupings:
                assert await _totals(store, Filter(), group_by) == summed(kept, Filter(), group_by)
            assert await _totals(store, Filter(client="c"), []) == summed(kept, Filter(client="c"), [])
            [(_, total)] = await store.series(Filter(BEGINNING, BEGINNING + 3600), 3600.0)
            assert total.cost_nano == LARGEST_SUM
            assert await store.request("r-600") == plain(600)

    async def test_one_record_by_its_id_or_the_newest_by_its_request_id(self) -> None:
        async with self.opened(ManualClock()) as store:
            kept = [replace(plain(number), request_id="same") for number in range(3)]
            await store.append(kept[::-1])
            assert await store.request(kept[0].id) == kept[0]
            assert await store.request("same") == kept[2]
            assert await store.request("another") is None

    def _for_any(self, check: Any, *strategies: st.SearchStrategy[Any]) -> None:
        @settings(max_examples=self.ledger_examples, deadline=None)
        @given(st.tuples(*strategies))
        def run(drawn: tuple[Any, ...]) -> None:
            work: Coroutine[Any, Any, None] = check(*drawn)
            asyncio.run(work)

        run()


def plain(second: int) -> Record:
    """A record made so many seconds after `BEGINNING`."""
    time = BEGINNING + second
    return Record(
        time,
        "v1",
        f"r-{second}",
        "c",
        "chat",
        "m",
        status=200,
        input_tokens=second % 7,
        cost_nano_usd=second % 5,
        id=f"{first_id(time)}{0:012x}",
    )


def summed(kept: Iterable[Record], filter: Filter, group_by: Sequence[Dimension]) -> dict[Any, Total]:
    """What `Store.totals` is to find, by group."""
    found: dict[Any, Total] = {}
    for record in kept:
        if filter.matches(record):
            group = group_of(record, group_by)
            found.setdefault(group, Total(group)).count(record)
    return found


async def _totals(store: Store, filter: Filter, group_by: Sequence[Dimension]) -> dict[Any, Total]:
    totals = await store.totals(filter, group_by)
    assert len({total.group for total in totals}) == len(totals), "a group comes twice"
    return {total.group: total for total in totals if total.requests}


async def _too_old(store: Store, records: Sequence[Record]) -> Sequence[Record]:
    """Those that the store gives back."""
    try:
        await store.append(records)
    except TooOld as late:
        return late.records
    return []


def _cut(kept: Sequence[Record], sizes: Sequence[int]) -> list[Sequence[Record]]:
    """Batches of these sizes, and the rest."""
    batches = []
    for size in sizes:
        batches.append(kept[:size])
        kept = kept[size:]
    return [*batches, kept]
