"""The clients of the gateway: who a key belongs to, and what it may use."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TypeVar

from gateway.api import Candidate, Meter

ANONYMOUS = "anonymous"

AnyCandidate = TypeVar("AnyCandidate", bound=Candidate)


@dataclass(frozen=True, slots=True, eq=False)
class Client:
    """Who sends a request."""

    id: str
    digest: bytes = field(repr=False)
    """SHA-256 of its key; empty for the anonymous client."""
    meter: Meter
    providers: frozenset[str] | None = None
    """Ids of the services it may use; None means all."""
    models: tuple[str, ...] | None = None
    """Names or patterns (``gpt-*``) of the models it may use; None means all."""
    expires_at: float | None = None
    """Seconds since the epoch."""
    made_of: object = field(default=None, repr=False)
    """The part of the configuration it stands for: while that is the same object, so may this be."""

    def may_use(self, model: str) -> bool:
        """Whether ``model`` matches one of the names it may use."""
        return self.models is None or any(fnmatchcase(model, pattern) for pattern in self.models)

    def allowed(self, candidates: Sequence[AnyCandidate], name: str | None = None) -> Sequence[AnyCandidate]:
        """Those it may use. ``name``: the one by which it asks for them, which is as good as theirs."""
        if self.providers is not None:
            candidates = [one for one in candidates if one.provider in self.providers]
        if self.models is None or (name is not None and self.may_use(name)):
            return candidates
        return [
            one
            for one in candidates
            if self.may_use(one.model) or self.may_use(f"{one.provider}:{one.model}")
        ]


class Clients:
    """Every configured client, found by the digest of its key."""

    def __init__(
        self, clients: Iterable[Client], anonymous: Client, *, open_to_all: bool, existed: bool = False
    ) -> None:
        """``open_to_all``: requests without a key are served from anywhere (``allow_anonymous``);
        ``existed``: there were clients before, so that their keys must not be taken for anonymous."""
        self._by_digest = {client.digest: client for client in clients}
        self._by_id: dict[str, list[Client]] = {}
        for client in self._by_digest.values():
            self._by_id.setdefault(client.id, []).append(client)
        self.exist = existed or bool(self._by_digest)
        """Whether any client has ever been configured."""
        self.anonymous = anonymous
        self.open_to_all = open_to_all

    def find(self, secret: str, now: float) -> Client | None:
        """The client whose key this is, unless it has expired. ``now``: seconds since the epoch."""
        digest = key_digest(secret)
        client = self._by_digest.get(digest)
        if client is None or not hmac.compare_digest(client.digest, digest):
            return None
        if client.expires_at is not None and now >= client.expires_at:
            return None
        return client

    def named(self, id: str) -> Client | None:
        """The client with this id, the anonymous one included."""
        return self.anonymous if id == ANONYMOUS else next(iter(self.each(id)), None)

    def served(self, id: str, now: float) -> Client | None:
        """The client with this id by a key that is good yet, or if it is the anonymous one and let in."""
        if id == ANONYMOUS:
            return self.anonymous if self.open_to_all or not self.exist else None
        good = (one for one in self.each(id) if one.expires_at is None or now < one.expires_at)
        return next(good, None)

    def each(self, id: str) -> Sequence[Client]:
        """The client with this id, once for each of its keys."""
        return self._by_id.get(id, ())


def key_digest(secret: str) -> bytes:
    """SHA-256 of a key as it came in a header, whatever bytes it is made of."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
