"""The names a configuration may use for what plugins provide."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Known:
    """What is installed, by the names of the entry points."""

    providers: frozenset[str] = frozenset()
    stores: frozenset[str] = frozenset()
    sinks: frozenset[str] = frozenset()
    algorithms: frozenset[str] = frozenset()
    config_stores: frozenset[str] = frozenset()
