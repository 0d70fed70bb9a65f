"""Ids of requests that bring none."""

from __future__ import annotations

import random
import time


def new_request_id() -> str:
    """32 hexadecimal digits. They begin with the milliseconds since the epoch, as ids that follow one another
    are cheap for a store to index."""
    return f"{time.time_ns() // 1_000_000:012x}{random.getrandbits(80):020x}"
