"""Usage records in Redis, each counted once in the sums of its minute, its hour and its day."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Final

import orjson

from gateway.api import Dimension, Filter, Record, TooOld, Total
from gateway.api.ledger import DIMENSIONS, LATENCY_BOUNDS, SUMS, group_of
from gateway_stores.redis_link import Call, Link, Script, yes

SCRIPT: Final = Script("redis_ledger.lua", ":records")
DAY, HOUR, MINUTE = 86_400, 3600, 60
_BATCH = 100
"""Records of one call: the server does nothing else meanwhile."""
_SCANNED = 1000
"""Records that one call looks through."""
_BUCKETS = 10
"""Buckets of sums that one call reads: with hundreds of groups in each, the server does nothing else for some
milliseconds, and this process neither."""
_PRUNED = 1000
"""Records that one call forgets at most."""
_MICROS = 1_000_000
"""Microseconds in a second."""


@dataclass(slots=True, frozen=True)
class Piece:
    """A part of a range, and what it is summed from: buckets of ``level`` seconds, or the records (0)."""

    level: int
    start: float
    end: float


class RedisLedger:
    """The part of a store that keeps records. Its methods are those of `gateway.api.Store`.

    All of it is in one hash slot, so in a cluster on one node.
    """

    def __init__(self, link: Link, base: str) -> None:
        self._link = link
        self._base = base
        self._groups: dict[str, tuple[str, ...]] = {}

    async def append(self, records: Sequence[Record]) -> None:
        """Keep what is new and count it; any of it may be sent again."""
        bounds = orjson.dumps(LATENCY_BOUNDS)
        old: list[Record] = []
        for i in range(0, len(records), _BATCH):
            batch = records[i : i + _BATCH]
            reply = await self._act("append", bounds, *map(Record.encoded, batch))
            with self._link.reading():
                seen, places = reply
                if seen != len(batch):
                    raise ValueError("the script did not see what was sent")
                old += [batch[place] for place in places]
        if old:
            raise TooOld(old)

    async def requests(self, filter: Filter, limit: int, before: str | None = None) -> list[Record]:
        """The newest records that match, newest first."""
        found: list[Record] = []
        async for record in self._scan(filter, before or ""):
            if len(found) == limit:
                break
            found.append(record)
        return found

    async def request(self, id: str) -> Record | None:
        """The record with this id, or else the newest with this request id."""
        record = await self._act("one", id)
        return None if record is None else _record(record)

    async def totals(self, filter: Filter, group_by: Sequence[Dimension]) -> list[Total]:
        """One total for each combination of the dimensions' values."""
        found: dict[tuple[str, ...], Total] = {}
        for piece in await self._pieces(filter, DAY):
            async for _, group, total in self._summed(piece, filter):
                names = _chosen(group, group_by)
                found.setdefault(names, Total(names)).add(total)
        return [found[names] for names in sorted(found)]

    async def series(
        self, filter: Filter, step: float, group_by: Sequence[Dimension] = ()
    ) -> list[tuple[float, Total]]:
        """Totals of each ``step`` seconds from the filter's start on."""
        start = filter.start or 0.0
        level = next((one for one in (DAY, HOUR, MINUTE) if start % one == step % one == 0), 0)
        found: dict[tuple[float, tuple[str, ...]], Total] = {}
        for piece in await self._pieces(filter, level):
            async for moment, group, total in self._summed(piece, filter):
                begins, names = start + (max(moment, start) - start) // step * step, _chosen(group, group_by)
                found.setdefault((begins, names), Total(names)).add(total)
        return [(begins, found[begins, names]) for begins, names in sorted(found)]

    async def prune(self, requests: float, rollups: float) -> bool:
        """Forget some of what is too old: records, and sums of whole days."""
        reply = await self._act("prune", int(requests * _MICROS), int(rollups), _PRUNED)
        with self._link.reading():
            return yes(reply)

    async def _act(self, *args: str | bytes | int) -> Any:
        [reply] = await self._link.run([Call(SCRIPT, self._base, args)])
        return reply

    async def _scan(self, filter: Filter, before: str = "") -> AsyncIterator[Record]:
        """All records that match, newest first. The server looks for fragments, so little is sent in vain."""
        first = "-inf" if filter.start is None else int(filter.start * _MICROS) - 1
        last = "+inf" if filter.end is None else int(filter.end * _MICROS) + 1
        fragments = _fragments(filter)
        while True:
            reply = await self._act("find", before, first, last, _SCANNED, *fragments)
            with self._link.reading():
                after, *found = reply
                before = after.decode()
            for text in found:
                record = _record(text)
                if record is not None and filter.matches(record):
                    yield record
            if not before:
                break

    async def _pieces(self, filter: Filter, level: int) -> list[Piece]:
        """Cut the filter's range into pieces, none coarser than ``level``. What cannot be summed from
        records, since they were pruned, is widened to the minute."""
        pruned, days = await self._range()
        if not days:
            return []
        start = max(filter.start or 0.0, days[0])
        end = min(inf if filter.end is None else filter.end, days[-1] + DAY)
        edge = pruned / _MICROS // MINUTE * MINUTE + MINUTE if pruned else 0.0
        if not level:
            kept = max(start, min(edge, end))
            widened = Piece(MINUTE, start // MINUTE * MINUTE, -(-kept // MINUTE) * MINUTE)
            pieces = [widened] if start < kept else []
            return [*pieces, Piece(0, kept, end)]
        return [
            Piece(MINUTE, piece.start // MINUTE * MINUTE, piece.start // MINUTE * MINUTE + MINUTE)
            if piece.level == 0 and piece.start < edge
            else piece
            for piece in _cut(start, end, level)
        ]

    async def _summed(
        self, piece: Piece, filter: Filter
    ) -> AsyncIterator[tuple[float, tuple[str, ...], Total]]:
        """Each total of the piece that matches, with its moment and its values of all dimensions."""
        if piece.level == 0:
            async for record in self._scan(replace(filter.for_totals(), start=piece.start, end=piece.end)):
                total = Total()
                total.count(record)
                yield record.time, group_of(record, DIMENSIONS), total
            return
        names = filter.names()
        wanted = [(place, names[name]) for place, name in enumerate(DIMENSIONS) if name in names]
        span = piece.level * _BUCKETS
        for begins in range(int(piece.start), int(piece.end), span):
            ends = min(begins + span, int(piece.end))
            reply = await self._act("sums", piece.level, begins, ends)
            with self._link.reading():
                buckets = [(float(beginning), fields) for beginning, fields in reply]
            for beginning, fields in buckets:
                await asyncio.sleep(0)  # requests have their turn
                with self._link.reading():
                    totals = _totals(fields)
                for number, total in totals.items():
                    if number not in self._groups:
                        await self._range()
                    with self._link.reading():
                        group = self._groups[number]
                    if all(group[place] == name for place, name in wanted):
                        yield beginning, group, total

    async def _range(self) -> tuple[int, list[float]]:
        """From when on no record was pruned (microseconds), and the days there are; groups are noted."""
        reply = await self._act("range")
        with self._link.reading():
            pruned, days, groups = reply
            parts = iter(groups)
            self._groups = {
                number.decode(): tuple(orjson.loads(name)) for name, number in zip(parts, parts, strict=True)
            }
            return int(pruned), [float(day) for day in days]


def _record(text: bytes) -> Record | None:
    """None where it is not of our making, or of another version of the gateway."""
    try:
        return Record.from_json(orjson.loads(text))
    except (ValueError, TypeError, KeyError):
        return None


def _cut(start: float, end: float, level: int) -> list[Piece]:
    """``[start, end)`` as whole buckets of ``level`` seconds and finer ones at both ends."""
    if start >= end:
        return []
    if not level:
        return [Piece(0, start, end)]
    finer = {DAY: HOUR, HOUR: MINUTE, MINUTE: 0}[level]
    first, last = -(-start // level) * level, end // level * level
    if first >= last:
        if first == last:
            return [*_cut(start, first, finer), *_cut(first, end, finer)]
        return _cut(start, end, finer)
    return [*_cut(start, first, finer), Piece(level, first, last), *_cut(last, end, finer)]


def _chosen(group: tuple[str, ...], group_by: Sequence[Dimension]) -> tuple[str, ...]:
    """The values of some dimensions among those of all."""
    return tuple(group[DIMENSIONS.index(dimension)] for dimension in group_by)


def _fragments(filter: Filter) -> list[bytes]:
    """What the JSON of every match contains."""
    fields: dict[str, Any] = {**filter.names(), "error": filter.error}
    if filter.status is not None and filter.status >= 100:
        fields["status"] = filter.status
    return [orjson.dumps({name: value})[1:-1] for name, value in fields.items() if value]


def _totals(fields: Sequence[bytes]) -> dict[str, Total]:
    """One bucket's sums, by the number of the group."""
    found: dict[str, Total] = {}
    parts = iter(fields)
    for field, value in zip(parts, parts, strict=True):
        number, _, figure = field.decode().partition(":")
        total = found.setdefault(number, Total())
        place = int(figure) - len(SUMS)
        if place < 0:
            setattr(total, SUMS[place], int(value))
        else:
            total.latencies[place] = int(value)
    return found
