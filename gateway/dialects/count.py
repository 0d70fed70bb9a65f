"""A count in what an upstream says of its answer."""

from __future__ import annotations

LARGEST = 10**9
"""No answer has more of anything: a larger figure is a mistake, such as -1 that was written as 4294967295."""


def count(value: object) -> int | None:
    """The count that ``value`` is; None if it makes no sense as one. Some servers have but floats."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= LARGEST else None
