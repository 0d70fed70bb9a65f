"""The usage record: what is remembered of one client request."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

import orjson


# Without slots: orjson takes three times as long to write what has them.
@dataclass
class Attempt:
    """One try at one upstream."""

    provider: str
    key: str
    """The key's id, never the key."""
    model: str
    status: int
    """The upstream's HTTP status; 0 where there was none."""
    outcome: str
    """``ok``, or a `Kind` in lower case, or ``cancelled``."""
    ms: float


@dataclass
class Record:
    """One authenticated client-API request, written once when it has ended, however it ended."""

    time: float
    """Admission, seconds since the epoch, UTC."""
    config_version: str
    request_id: str
    client: str
    operation: str
    alias: str
    """The model as the client named it."""
    provider: str | None = None
    key: str | None = None
    model: str | None = None
    status: int = 0
    """The HTTP status the client got; 499 if it went away."""
    error: str | None = None
    """The error code the client got."""
    attempts: list[Attempt] = field(default_factory=list)
    stream: bool = False
    cache: str = "off"
    input_tokens: int = 0
    """All input tokens; the cached ones are among them."""
    cached_tokens: int = 0
    output_tokens: int = 0
    """All output tokens; the reasoning ones are among them."""
    reasoning_tokens: int = 0
    estimated: bool = False
    """True where the token figures are ours, not the upstream's."""
    units: dict[str, float] | None = None
    """What else the answer may be billed by, by its name in `Units`; None: by tokens alone."""
    cost_nano_usd: int | None = None
    """Nano-dollars; None where a price is unknown."""
    first_token_ms: float | None = None
    total_ms: float = 0.0
    overhead_ms: float = 0.0
    """Total less the time spent waiting for upstreams (and in the queue)."""
    partial: bool = False
    """The client did not get the whole answer."""
    id: str = ""
    """Unique among all records, and in the order of their times: it begins with `first_id`."""

    def __post_init__(self) -> None:
        if not self.id:
            self.id = f"{first_id(self.time)}{random.getrandbits(48):012x}"

    def to_json(self) -> dict[str, Any]:
        """The record as plain JSON values."""
        return asdict(self)

    def encoded(self) -> bytes:
        """The record as JSON, remembered: ask once all of it is known. Raises `TypeError` for what orjson
        cannot write (a lone surrogate, an integer of more than 64 bits)."""
        known: bytes | None = self.__dict__.get("_encoded")  # what begins with _ orjson passes over
        if known is None:
            known = self.__dict__["_encoded"] = orjson.dumps(self)
        return known

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The record that `to_json` gave these values of; what a later version added to them is left out.
        Raises `TypeError` or `KeyError` for others."""
        known = {name: values[name] for name in _FIELDS if name in values}
        known["attempts"] = [
            Attempt(**{name: attempt[name] for name in _ATTEMPT_FIELDS if name in attempt})
            for attempt in values["attempts"]
        ]
        return cls(**known)


def first_id(moment: float) -> str:
    """What the ids of records of this microsecond begin with: 14 hexadecimal digits."""
    return f"{int(min(max(moment, 0.0), _LATEST) * 1_000_000):014x}"


_LATEST = 7e10
"""The year 4188, which is as late as 14 digits can say."""
_FIELDS = tuple(one.name for one in fields(Record))
_ATTEMPT_FIELDS = tuple(one.name for one in fields(Attempt))
