"""Ids of requests: their own, or one of ours."""

from __future__ import annotations

import random
import re
import time

_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}").fullmatch


def sane_request_id(given: str | None) -> str:
    """``given``, if a log and a header can hold it, else a new one."""
    return given if given is not None and _SANE(given) else new_request_id()


def new_request_id() -> str:
    """32 hexadecimal digits. They begin with the milliseconds since the epoch, as ids that follow one another
    are cheap for a store to index."""
    return f"{time.time_ns() // 1_000_000:012x}{random.getrandbits(80):020x}"
