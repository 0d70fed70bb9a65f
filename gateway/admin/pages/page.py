"""What a page's module makes: pages to show, and the section of the dashboard that they belong to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Page:
    """A template and what it shows."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    every: float | None = None
    """Seconds between two looks at it while somebody watches: its blocks named ``live_…`` are sent anew where
    they changed. None: it does not live."""


PageHandler = Callable[[web.Request], Awaitable[Page]]


@dataclass(frozen=True, slots=True)
class Section:
    """A subject of the dashboard: an entry in its menu, and the routes behind it."""

    title: str
    path: str
    """Below ``/ui``."""
    routes: Sequence[web.RouteDef]
