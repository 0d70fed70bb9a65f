"""The garbage collector, tuned to a process that makes most of what it keeps at its start."""

from __future__ import annotations

import gc


def tune_collector() -> None:
    """What was made so far stays: keep the collector from walking it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
