"""What is left of an upstream's own limits, as its answers announce it in rate-limit headers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.dialects.retry_after import until_reset

Announced = Mapping[str, tuple[str, str]]
"""What each header means, by its lower-case name: a kind, and ``limit``, ``remaining`` or ``reset``."""

_FIGURES = ("limit", "remaining", "reset")
OPENAI: Announced = {
    f"x-ratelimit-{figure}-{kind}": (kind, figure) for kind in ("requests", "tokens") for figure in _FIGURES
}
ANTHROPIC: Announced = {
    f"anthropic-ratelimit-{kind}-{figure}": (kind.replace("-", "_"), figure)
    for kind in ("requests", "tokens", "input-tokens", "output-tokens")
    for figure in _FIGURES
}
LONGEST = 31 * 86400.0
"""Seconds until a reset; more than that is nonsense."""
_MAX_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Window:
    """One of the upstream's windows; None is what it did not say."""

    limit: int | None
    remaining: int | None
    reset: float | None
    """Seconds until all of it is free."""


def windows(announced: Announced, values: Sequence[str | None], age: float) -> dict[str, Window]:
    """The windows by kind. ``values`` are those of the headers of ``announced``, in its order, and were said
    ``age`` seconds ago."""
    figures: dict[str, dict[str, str]] = {}
    for (kind, figure), value in zip(announced.values(), values, strict=True):
        if value:
            figures.setdefault(kind, {})[figure] = value.strip()
    read = {kind: _window(said, age) for kind, said in figures.items()}
    return {kind: window for kind, window in read.items() if window is not None}


def _window(said: Mapping[str, str], age: float) -> Window | None:
    limit, remaining = _count(said.get("limit", "")), _count(said.get("remaining", ""))
    if limit is None and remaining is None:
        return None
    return Window(limit, remaining, until_reset(said.get("reset", ""), LONGEST, age))


def _count(text: str) -> int | None:
    """None for what is no number, and for the -1 that some say where there is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS else None
