"""How long an upstream asks us to wait: ``Retry-After`` in all its forms, and rate-limit reset headers."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_WAIT = 300.0
_MAX_LENGTH = 64  # of a value: no form is longer, and parsing a header must cost nothing
_NUMBER = re.compile(r"[0-9]{1,14}(\.[0-9]{1,9})?")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[hms])")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_EPOCH = 1e9  # a larger number is no span but a moment: seconds since 1970, or
_EPOCH_MS = 1e12  # milliseconds


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, at most `MAX_WAIT`; None if the upstream named no time that makes sense.

    ``retry-after-ms`` wins over ``retry-after`` (seconds or an HTTP date, RFC 9110 section 10.2.3);
    without either, the longest reset of the windows that announce nothing remaining.
    ``headers`` have lower-case names.
    """
    for name, parse in (("retry-after-ms", _milliseconds), ("retry-after", _seconds_or_date)):
        if (value := headers.get(name)) is not None and (wait := parse(value.strip())) is not None:
            return wait
    waits = [
        wait
        for name, value in headers.items()
        if "ratelimit-reset" in name or ("ratelimit-" in name and name.endswith("-reset"))
        if headers.get(name.replace("reset", "remaining")) == "0"
        if (wait := until_reset(value.strip())) is not None
    ]
    return max(waits, default=None)


def duration(text: str) -> float | None:
    """Seconds in a Go or protobuf duration such as ``6m0s``, ``12ms`` or ``34.5s``; None if it is none."""
    if len(text) > _MAX_LENGTH:
        return None
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def until_reset(text: str, longest: float = MAX_WAIT, age: float = 0.0) -> float | None:
    """Seconds, at most ``longest``, until a window is free, as a header said ``age`` seconds ago: in seconds,
    as a duration, as seconds or milliseconds since 1970, or by RFC 3339. None if it is nothing of that."""
    number = _number(text)
    if number is not None:
        if number >= _EPOCH:
            return _until(number / 1000 if number >= _EPOCH_MS else number, longest)
        return _later(number, longest, age)
    if (wait := duration(text)) is not None:
        return _later(wait, longest, age)
    if len(text) > _MAX_LENGTH:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return _until(moment.timestamp(), longest) if moment.tzinfo else None


def _later(wait: float, longest: float, age: float) -> float:
    return min(max(wait - age, 0.0), longest)


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _until(moment: float, longest: float = MAX_WAIT) -> float:
    """``moment``: seconds since the epoch."""
    return _later(moment, longest, time.time())


def _milliseconds(text: str) -> float | None:
    number = _number(text)
    return None if number is None else min(number / 1000, MAX_WAIT)


def _seconds_or_date(text: str) -> float | None:
    if (number := _number(text)) is not None:
        return min(number, MAX_WAIT)
    if len(text) > _MAX_LENGTH:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return _until((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
