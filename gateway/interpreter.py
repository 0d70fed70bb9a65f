"""The Python interpreter, tuned to a process that lives long and answers at once."""

from __future__ import annotations

import gc
import sys

_SWITCH = 0.001
"""Seconds after which a thread that computes (metrics as text, pages' figures) lets the event loop go on; by
default 5 ms, which each turn of the loop would wait for then."""


def tune() -> None:
    """Once all is made: what was made so far stays, so keep the collector from walking it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 100, 50)
    sys.setswitchinterval(_SWITCH)
