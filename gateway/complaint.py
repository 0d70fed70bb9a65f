"""A line about a trouble that goes on, but not for each of its thousand occurrences."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

SECONDS = 10.0


class Complaint:
    """Lets one line through every `SECONDS`."""

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._clock = clock
        self._quiet_until = 0.0

    def __call__(self, message: str, error: BaseException | None = None, **facts: object) -> None:
        """Log a warning, with what went wrong in words."""
        if self._clock() >= self._quiet_until:
            self._quiet_until = self._clock() + SECONDS
            if error is not None:
                facts["error"] = f"{type(error).__name__}: {error}"
            self._logger.warning(message, extra=facts)

    def relent(self, message: str) -> None:
        """All is well again: log that, if the trouble was logged, and let the next one be news."""
        if self._quiet_until:
            self._quiet_until = 0.0
            self._logger.info(message)
