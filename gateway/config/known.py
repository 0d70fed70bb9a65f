"""The names a configuration may use for what plugins provide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.config.problems import Problem

if TYPE_CHECKING:
    from gateway.config.checks import Draft


def _nothing(found: Draft) -> Sequence[Problem]:
    return ()


@dataclass(frozen=True, slots=True)
class Known:
    """What is installed, by the names of the entry points."""

    providers: frozenset[str] = frozenset()
    stores: frozenset[str] = frozenset()
    sinks: frozenset[str] = frozenset()
    algorithms: frozenset[str] = frozenset()
    config_stores: frozenset[str] = frozenset()
    refused: Callable[[Draft], Sequence[Problem]] = _nothing
    """What plugins say against their settings, as far as there is something to be made of these."""
