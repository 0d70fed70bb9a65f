"""What the traffic so far says about one key with one model: how fast it answers, how often it fails."""

from __future__ import annotations

from math import exp

LATENCY_WEIGHT = 0.2
"""How much the newest latency moves the estimate."""
PEAK_FADES = 30.0
"""Seconds in which a peak of latency falls to 0.37 of what it is above the latencies since."""
ERROR_WEIGHT = 0.2
"""How much the newest outcome moves the error rate: after five failures in a row it is 0.67."""
HALF_LIFE = 30.0
"""Seconds in which an error rate without traffic halves."""
NEGLIGIBLE = 0.01
"""An error rate below this is none: a key is not for ever behind its equals for one old failure."""
FORGET_AFTER = 60.0
"""Seconds without a success after which a latency is unknown again, so that the key gets another try."""


class KeyModelHealth:
    """Implements `gateway.api.Health`. Times are monotonic seconds."""

    __slots__ = ("_errors", "_errors_at", "_latency_at", "_peak", "latency")

    def __init__(self) -> None:
        self.latency = 0.0
        self._latency_at = 0.0
        self._peak = 0.0
        self._errors = 0.0
        self._errors_at = 0.0

    def error_rate(self, now: float) -> float:
        """Recent share of failed attempts, 0 to 1, fading while nothing is tried.

        Also lets go of a ``latency`` that is too old to be called recent.
        """
        if self.latency and now - self._latency_at >= FORGET_AFTER:
            self.latency = 0.0
        if not self._errors:
            return 0.0
        rate: float = self._errors * 0.5 ** ((now - self._errors_at) / HALF_LIFE)
        return rate if rate >= NEGLIGIBLE else 0.0

    def peak(self, now: float) -> float:
        """Peak EWMA: the highest recent latency, fading with time alone; 0 while unknown."""
        age = now - self._latency_at
        return self._peak * exp(-age / PEAK_FADES) if age < FORGET_AFTER else 0.0

    def record_success(self, now: float, latency: float) -> None:
        """An attempt succeeded, ``latency`` seconds to the first token or the answer."""
        age = now - self._latency_at
        fresh = not self.latency or age >= FORGET_AFTER
        self.latency = latency if fresh else self.latency + LATENCY_WEIGHT * (latency - self.latency)
        above = 0.0 if fresh else max(self._peak - latency, 0.0)
        self._peak = latency + above * exp(-age / PEAK_FADES)
        self._latency_at = now
        self._outcome(now, 0.0)

    def record_failure(self, now: float) -> None:
        """An attempt failed through the upstream's fault."""
        self._outcome(now, ERROR_WEIGHT)

    def forget_errors(self) -> None:
        """No attempt has failed so far."""
        self._errors = 0.0

    def _outcome(self, now: float, failed: float) -> None:
        self._errors = self.error_rate(now) * (1 - ERROR_WEIGHT) + failed
        self._errors_at = now
