"""The running gateway: an immutable snapshot of one configuration, and the one reference that is swapped."""

from __future__ import annotations

import asyncio
import logging
import resource
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.api import Algorithm, Site, Store
from gateway.catalog import Catalog
from gateway.clients import Clients
from gateway.complaint import Complaint
from gateway.config.schema import Config, Server
from gateway.ledger.journal import Journal
from gateway.managed import ManagedConfig
from gateway.metrics import Metrics
from gateway.peers import Alone, Peers
from gateway.redact import Redactor
from gateway.request_log import RequestLog
from gateway.routing.memory import Memory
from gateway.routing.queue import Queue
from gateway.upstream.client import Client as UpstreamClient

log = logging.getLogger(__name__)

_FILES_PER_REQUEST = 2
"""A connection from the client and one to the upstream."""
_OTHER_FILES = 64


@dataclass(frozen=True, slots=True)
class Runtime:
    """All that a request needs to know, from one version of the configuration."""

    version: str
    config: Config
    catalog: Catalog
    clients: Clients
    algorithm: Algorithm
    masked: Sequence[Redactor] | None = None
    """Prompts and answers are logged, without these secrets; None: they are not."""


@dataclass(slots=True)
class Live:
    """What outlives a configuration, and the configuration of this moment."""

    current: Runtime
    store: Store
    site: Site
    """Where the store runs."""
    managed: ManagedConfig
    """What the admin API writes."""
    memory: Memory
    metrics: Metrics
    log: RequestLog
    journal: Journal
    upstream: UpstreamClient
    queue: Queue
    hide: Callable[[Iterable[str]], None]
    """Keeps secrets out of log lines about exceptions: `LogHandler.hide`."""
    peers: Peers = field(default_factory=Alone)
    """The gateway's processes."""
    started: float = field(default_factory=time.monotonic)
    ready: bool = False
    """The start is complete."""
    draining: bool = False
    in_flight: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the last request ends while draining."""
    complain_of_cost: Complaint = field(default_factory=lambda: Complaint(log))
    """Lets through some of the lines about costs that cannot be believed."""
    parsing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a large body is parsed."""
    max_inflight: int = 0
    """Requests at once beyond which new ones get 503 ``overloaded``."""
    reload_errors: Sequence[Mapping[str, str]] = field(default_factory=list)
    """Why the last reload changed nothing; empty after a good one."""


def most_in_flight(server: Server) -> int:
    """Requests at once: as configured, or as many as the limit on open files allows."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return server.max_inflight or max(files // _FILES_PER_REQUEST - _OTHER_FILES, 16)
