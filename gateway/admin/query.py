"""The query of an admin call, read name by name; whatever is wrong with it is a 400 that says what."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from aiohttp import web

from gateway.admin.errors import AdminError
from gateway.request.errors import quoted

LATEST = 253402300800.0
"""The end of the year 9999, seconds since the epoch."""
_RECORD = re.compile("[0-9a-f]{26}", re.ASCII).fullmatch
"""The form of `Record.id`."""


_Option = TypeVar("_Option", bound=str)


class Query:
    """The parameters of one call. Every method raises `AdminError` 400 for what cannot be meant."""

    def __init__(self, request: web.Request, *known: str) -> None:
        """``known`` are all that the call takes."""
        query = request.query
        for name in query:
            if name not in known:
                raise AdminError(
                    400, f"There is no query parameter {quoted(name)}.", details={"known": list(known)}
                )
            if len(query.getall(name)) > 1:
                raise AdminError(400, f"{name}: is given twice.")
        self._query = query

    def text(self, name: str) -> str | None:
        """As it is; None where it is not given or empty."""
        return self._query.get(name) or None

    def choice(self, name: str, options: Sequence[str], default: str) -> str:
        """One of ``options``."""
        value = self.text(name) or default
        if value not in options:
            raise _wrong(name, f"one of {', '.join(options)}", value)
        return value

    def choices(self, name: str, options: Sequence[_Option]) -> list[_Option]:
        """Some of ``options``, separated by commas, each once, in the order given."""
        known: dict[str, _Option] = {option: option for option in options}
        values = [value.strip() for value in (self.text(name) or "").split(",") if value.strip()]
        for value in values:
            if value not in known:
                raise _wrong(name, f"one or more of {', '.join(options)}, separated by commas", value)
        return list(dict.fromkeys(known[value] for value in values))

    def whole(self, name: str, low: int, high: int) -> int | None:
        """A whole number from ``low`` to ``high``."""
        value = self.text(name)
        if value is None:
            return None
        if not (value.isascii() and value.isdecimal() and len(value) < 20 and low <= int(value) <= high):
            raise _wrong(name, f"a whole number from {low} to {high}", value)
        return int(value)

    def record(self, name: str) -> str | None:
        """The id of a usage record, be it one that there is or not."""
        value = self.text(name)
        if value is not None and not _RECORD(value):
            raise _wrong(name, "the `next` of another page", value)
        return value

    def decimal(self, name: str) -> Decimal | None:
        """A number from 0 to 10^9."""
        value = self.text(name)
        if value is None:
            return None
        try:
            number = Decimal(value)
        except InvalidOperation:
            number = Decimal(-1)
        if not (number.is_finite() and 0 <= number <= 10**9):
            raise _wrong(name, "a number from 0 to 1000000000", value)
        return number

    def moment(self, name: str) -> float | None:
        """A time: RFC 3339 (UTC where it names no offset) or seconds since the epoch."""
        value = self.text(name)
        if value is None:
            return None
        moment = _seconds(value)
        if moment is None:
            raise _wrong(name, "a time such as 2026-01-31T12:00:00Z, or seconds since 1970", value)
        return moment


def _seconds(value: str) -> float | None:
    try:
        seconds = float(value)
    except ValueError:
        seconds = _from_rfc3339(value)
    return seconds if math.isfinite(seconds) and 0 <= seconds < LATEST else None


def _from_rfc3339(value: str) -> float:
    text = value.replace(" ", "+") if "T" in value else value  # a plus that was not escaped
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return math.nan


def _wrong(name: str, expected: str, value: str) -> AdminError:
    return AdminError(400, f"{name}: must be {expected} (got {quoted(value)}).")
