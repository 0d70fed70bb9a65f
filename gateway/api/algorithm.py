"""What a routing algorithm plugin is: it puts the candidates of a request in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.api.store import Meter


class Health(Protocol):
    """What is known of one key with one model from the traffic so far."""

    latency: float
    """Smoothed seconds to the first token (streams) or the answer; 0 while unknown."""

    def error_rate(self, now: float) -> float:
        """Recent share of failed attempts, 0 to 1. ``now``: monotonic seconds."""

    def peak(self, now: float) -> float:
        """Seconds as `latency`, which rise to a slower answer at once and fade with time; 0 while unknown."""


class Headroom(Protocol):
    """What the upstream says is left of its own limits for one key with one model."""

    def used(self, now: float) -> float:
        """The used part, 0 to 1, of the fullest window it announced; 0 while unknown."""


@dataclass(slots=True, eq=False)
class Candidate:
    """A (provider, key, model) that could answer. Lives as long as the configuration it comes from."""

    provider: str
    key: str
    model: str
    weight: float
    meter: Meter
    health: Health
    input_price: float | None
    """Nano-dollars per uncached input token; None where unknown."""
    output_price: float | None
    headroom: Headroom


@dataclass(slots=True)
class Demand:
    """What the request at hand is expected to use."""

    input_tokens: int
    output_tokens: int
    pool: str
    """Names the pool (alias or model) that is being routed: cycles are per pool."""
    prefix: str = ""
    """Names the client, the pool and how the conversation begins; empty unless ``policy.affinity`` is on."""


@dataclass(frozen=True, slots=True)
class Score:
    """Why a candidate stands where it stands: lower is better; the terms add up to the total."""

    candidate: Candidate
    total: float
    terms: Mapping[str, float]


class Algorithm(Protocol):
    """Its dataclass fields are its settings: ``policy.priority`` and ``policy.hybrid_weights``, if it has
    fields of these names, and no others. One instance serves the whole process until the configuration
    changes; state it keeps (a cycle's position) begins anew then."""

    def rank(self, candidates: Sequence[Candidate], demand: Demand, now: float) -> Sequence[Candidate]:
        """Best first. All candidates given are usable; above 16 a documented sample may be ranked
        and the rest appended in any order. ``now``: monotonic seconds."""

    def explain(self, candidates: Sequence[Candidate], demand: Demand, now: float) -> list[Score]:
        """Best first, with reasons, without changing any state."""
