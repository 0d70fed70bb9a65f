"""Whether the authority over shared windows is worth waiting for."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from gateway.api import Trouble

FAILURES = 3
"""So many in a row, and nobody waits any longer."""
PROBES = 0.5
"""Seconds between attempts to reach an authority that nobody waits for."""
QUIET = 10.0
"""Seconds after a line in the log about it before there is another one."""

log = logging.getLogger(__name__)


class Breaker:
    """Open: nobody waits, one exchange tries from time to time."""

    def __init__(self, name: str) -> None:
        self.open = False
        self.tried = False
        """The authority has answered, or failed to."""
        self.probe_at = 0.0
        """Loop time of the next attempt while it is open."""
        self._name = name
        self._failures = FAILURES - 1  # of one that never answered
        self._trouble: Trouble | None = None
        self._said = False
        self._quiet_until = float("-inf")

    def failed(self, reason: str, now: float, *, late: bool) -> None:
        """An exchange failed; ``late``: it took longer than anybody may wait."""
        self.tried = True
        reason = reason.removeprefix(self._name).lstrip(": ")  # the store's own errors begin with its name
        self._failures += 1
        self.open = self.open or late or self._failures >= FAILURES
        self.probe_at = now + PROBES
        since = self._trouble.since if self._trouble is not None else time.time()
        self._trouble = Trouble(
            f"{self._name} does not keep the limits: {reason}. Until it can be reached again, each process "
            "goes by storage.on_trouble; what is used until then is reported afterwards.",
            since,
            limits=True,
        )
        if self.open and not self._said and now >= self._quiet_until:
            self._said, self._quiet_until = True, now + QUIET
            log.warning("the store does not keep the limits", extra={"store": self._name, "error": reason})

    def succeeded(self) -> None:
        """All is well."""
        if self._said:
            self._said = False
            log.info("the store keeps the limits again", extra={"store": self._name})
        self.open, self.tried = False, True
        self._failures, self._trouble = 0, None

    def trouble(self, beside: Trouble | None, limits: Iterable[bool]) -> Trouble | None:
        """What is wrong, as long as nobody waits, or else ``beside``: with something else at its server. That
        is in the way of ``limits``, if one of them is one, until the authority has been asked as well."""
        trouble = self._trouble if self.open else beside
        return trouble if trouble is None or self.tried else trouble._replace(limits=any(limits))
