"""How long an upstream asks us to wait: ``Retry-After`` in all its forms, and rate-limit reset headers."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_WAIT = 300.0
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[hms])")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, at most `MAX_WAIT`; None if the upstream named no time that makes sense.

    ``retry-after-ms`` wins over ``retry-after`` (seconds or an HTTP date, RFC 9110 section 10.2.3);
    without either, the reset of a window that announces nothing remaining.
    """
    for name, parse in (("retry-after-ms", _milliseconds), ("retry-after", _seconds_or_date)):
        if (value := headers.get(name)) is not None and (wait := parse(value)) is not None:
            return wait
    waits = [
        wait
        for name, value in headers.items()
        if "ratelimit-reset" in name or ("ratelimit-" in name and name.endswith("-reset"))
        if headers.get(name.replace("reset", "remaining")) == "0"
        if (wait := _reset(value)) is not None
    ]
    return max(waits, default=None)


def duration(text: str) -> float | None:
    """Seconds in a Go or protobuf duration such as ``6m0s``, ``12ms`` or ``34.5s``; None if it is none."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return _bounded(sum(float(number) * _UNITS[unit] for number, unit in parts))


def _bounded(seconds: float) -> float | None:
    return min(seconds, MAX_WAIT) if seconds >= 0 else None


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,12}(\.\d{1,6})?", text) else None


def _milliseconds(text: str) -> float | None:
    number = _number(text.strip())
    return None if number is None else _bounded(number / 1000)


def _seconds_or_date(text: str) -> float | None:
    number = _number(text.strip())
    if number is not None:
        return _bounded(number)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return _bounded(max(moment.timestamp() - time.time(), 0.0))


def _reset(text: str) -> float | None:
    number = _number(text)
    if number is not None:
        return _bounded(number)
    if (wait := duration(text)) is not None:
        return wait
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return _bounded(max(moment.timestamp() - time.time(), 0.0)) if moment.tzinfo else None
