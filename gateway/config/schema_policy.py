"""``policy:``: how requests are spread, retried, cached and held back."""

from __future__ import annotations

from typing import Literal

from gateway.config.fields import Duration, Factor, Flag, Name, Positive, Ratio, Seconds, Text, Whole
from gateway.config.section import Section


class HybridWeights(Section):
    """What each term of ``hybrid`` counts, 0 to 1; they need not add up to 1."""

    token_ratio: Ratio = 0.2
    req_ratio: Ratio = 0.2
    error_score: Ratio = 0.2
    latency: Ratio = 0.2
    cost_ratio: Ratio = 0.2


class Retry(Section):
    """Further attempts after a failure."""

    max_attempts: Positive = 3
    timeout: Duration | None = None
    """One attempt, to the first token of a stream or the whole answer; None: the provider's own."""
    interval: Seconds = 1.0


class Fallback(Section):
    """Providers to turn to when those of the model are spent."""

    enabled: Flag = True
    max_providers: Whole = 2
    providers: tuple[Text, ...] = ()
    """Empty: those that serve the same model."""


class Cache(Section):
    """Answers given again to the same request."""

    enabled: Flag = False
    ttl_seconds: Duration = 10.0
    max_entries: Positive = 10000
    max_entry_kb: Positive = 256
    shared: Flag = False
    coalesce: Flag = True


class CircuitBreaker(Section):
    """When a key and model is left alone, and how it comes back."""

    failure_ratio: Ratio = 0.5
    min_requests: Positive = 10
    window: Duration = 30.0
    cooldown: Duration = 15.0
    slow_start: Seconds = 30.0


class Queue(Section):
    """``on_exhausted: queue``."""

    max_wait: Duration = 5.0
    max_size: Positive = 1000


AFFINE = ("hybrid", "adaptive")
"""The algorithms to which affinity means something."""


class Affinity(Section):
    """Sends the same client, model and message prefix to the key used last."""

    enabled: Flag = False
    ttl: Duration = 300.0
    max_skew: Factor = 1.25


class Policy(Section):
    """How requests find their way."""

    algorithm: Name = "hybrid"
    priority: Literal["balanced", "cost", "req", "token", "latency"] = "balanced"
    hybrid_weights: HybridWeights | None = None
    """None unless set; set, they win over ``priority``."""
    retry: Retry = Retry()
    fallback: Fallback = Fallback()
    cache: Cache = Cache()
    circuit_breaker: CircuitBreaker = CircuitBreaker()
    on_exhausted: Literal["reject", "queue", "burst"] = "reject"
    queue: Queue = Queue()
    affinity: Affinity = Affinity()
    on_lossy: Literal["allow", "refuse"] = "allow"
