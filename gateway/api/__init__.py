"""The plugin contract: all that a provider, store, log sink or algorithm needs to import."""

from gateway.api.algorithm import Algorithm, Candidate, Demand, Health, Score
from gateway.api.errors import ApiError, Source, Unsupported
from gateway.api.ledger import Dimension, Filter, Total
from gateway.api.provider import (
    Announcing,
    Call,
    Chunk,
    Kind,
    Outcome,
    Provider,
    Reader,
    Served,
    Serving,
    Upstream,
)
from gateway.api.record import Attempt, Record
from gateway.api.sink import LogSink, Opening
from gateway.api.store import (
    ConfigStore,
    Conflict,
    Document,
    Hosting,
    Limits,
    Meter,
    Reading,
    Refusal,
    Reservation,
    Site,
    Store,
    StoreUnavailable,
    Trouble,
)
from gateway.api.usage import Prices, Usage

__all__ = [
    "Algorithm",
    "Announcing",
    "ApiError",
    "Attempt",
    "Call",
    "Candidate",
    "Chunk",
    "ConfigStore",
    "Conflict",
    "Demand",
    "Dimension",
    "Document",
    "Filter",
    "Health",
    "Hosting",
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
    "Site",
    "Source",
    "Store",
    "StoreUnavailable",
    "Total",
    "Trouble",
    "Unsupported",
    "Upstream",
    "Usage",
]
