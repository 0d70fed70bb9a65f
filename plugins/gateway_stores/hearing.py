"""Facts of other processes, passed on: one that cannot be taken in keeps no other from it."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from gateway.api import Site

log = logging.getLogger(__name__)


def pass_on(site: Site, facts: Iterable[tuple[str, str, float]]) -> None:
    """Have the core hear each of them: name, value, seconds for which it still holds."""
    for name, value, seconds in facts:
        try:
            site.heard(name, value, seconds)
        except Exception:
            log.exception("a fact of another process could not be taken in", extra={"fact": name})
