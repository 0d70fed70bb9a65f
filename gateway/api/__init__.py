"""The plugin contract: all that a provider, store, log sink or algorithm needs to import."""

from gateway.api.algorithm import Algorithm, Candidate, Demand, Health, Score
from gateway.api.errors import ApiError, Source, Unsupported
from gateway.api.provider import Call, Chunk, Kind, Outcome, Provider, Reader, Served, Serving, Upstream
from gateway.api.record import Attempt, Record
from gateway.api.sink import LogSink, Opening
from gateway.api.store import Limits, Meter, Reading, Refusal, Reservation, Store
from gateway.api.usage import Prices, Usage

__all__ = [
    "Algorithm",
    "ApiError",
    "Attempt",
    "Call",
    "Candidate",
    "Chunk",
    "Demand",
    "Health",
    "Kind",
    "Limits",
    "LogSink",
    "Meter",
    "Opening",
    "Outcome",
    "Prices",
    "Provider",
    "Reader",
    "Reading",
    "Record",
    "Refusal",
    "Reservation",
    "Score",
    "Served",
    "Serving",
    "Source",
    "Store",
    "Unsupported",
    "Upstream",
    "Usage",
]
