"""Counts in what an upstream says of its answer."""

from __future__ import annotations

from dataclasses import replace

from gateway.api import Usage

LARGEST = 10**9
"""No answer has more of anything: a larger figure is a mistake, such as -1 that was written as 4294967295."""
_INPUT = ("input", "cache_read", "cache_write", "cache_write_1h", "audio_input")
_OUTPUT = ("output", "reasoning", "audio_output", "estimated")


def count(value: object) -> int | None:
    """The count that ``value`` is; None if it makes no sense as one. Some servers have but floats."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= LARGEST else None


def later(known: Usage | None, named: Usage | None) -> Usage | None:
    """The usage of an answer that was ``known`` when another was ``named``: each counts all that there was so
    far, so what is named as 0 stays as it was, and so does all if no output is named any more."""
    if known is None or named is None:
        return named or known
    if named.estimated and not known.estimated:
        return known
    for total, parts in ((named.prompt, _INPUT), (named.completion, _OUTPUT)):
        if not total:
            named = replace(named, **{part: getattr(known, part) for part in parts})
    return named
