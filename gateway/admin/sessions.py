"""Dashboard sessions: kept by the server, known to every process, ended by logout, idleness or age."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import orjson

IDLE = 30 * 60.0
ABSOLUTE = 12 * 3600.0
"""Seconds: without a call, and in all, until a session ends."""
MAX_SESSIONS = 1024
FACT = "session:"
"""What the names of the facts begin with by which processes tell each other of sessions."""
ENDED = FACT + "ended:"
"""The end is a fact of its own: no process that has not heard of it can put a note of use in its place."""
_TELL_EVERY = 60.0
"""Seconds between two notes to the other processes that a session is in use."""
_SPREADING = 1.2
"""Seconds in which a session that another process began must have become known here."""


@dataclass(slots=True)
class Session:
    """One login. Times are seconds since the epoch."""

    digest: str
    """SHA-256 of its token: who reads it, in a store, cannot use it."""
    bound: str
    """Ties it to the credentials it was begun with: others in the configuration end it."""
    since: float
    seen: float
    told: float
    """When the other processes were last told of it."""

    @property
    def id(self) -> str:
        """Names it in the audit log."""
        return self.digest[:12]

    def left(self, now: float) -> float:
        """Seconds until it ends if it is not used."""
        return min(self.seen + IDLE, self.since + ABSOLUTE) - now


class Sessions:
    """All sessions. ``share`` is `Store.share`; ``alone``: no other process has sessions; ``clock``:
    seconds since the epoch."""

    def __init__(
        self,
        share: Callable[[str, str, float], None],
        *,
        alone: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._share = share
        self._alone = alone
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._ended: dict[str, float] = {}
        """Those that were ended, and until when others might still tell of their use."""
        self._news = asyncio.Event()

    def begin(self, credentials: bytes) -> tuple[Session, str]:
        """A new session of who proved to know ``credentials``, and its token."""
        now = self._clock()
        token = secrets.token_urlsafe(32)
        session = Session(_digest(token), _bound(token, credentials), now, now, now)
        self._keep(session, now)
        self._tell(session, now)
        return session, token

    async def find(self, token: str, credentials: bytes) -> Session | None:
        """The session with this token, which is in use by that; None if it has ended."""
        session = await self._known(_digest(token))
        now = self._clock()
        if session is None or session.left(now) <= 0:
            return None
        if not hmac.compare_digest(session.bound, _bound(token, credentials)):
            return None
        session.seen = now
        if now - session.told >= _TELL_EVERY:
            self._tell(session, now)
        return session

    def end(self, session: Session) -> None:
        """It is over, here and, within a second, everywhere, whatever is heard of it later."""
        self._close(session.digest)
        self._share(ENDED + session.digest, "", ABSOLUTE)

    def lasts(self, session: Session) -> bool:
        """Whether it has not ended yet; to ask is no use of it."""
        return session.digest in self._sessions and session.left(self._clock()) > 0

    def heard(self, name: str, value: str) -> None:
        """Another process shared a fact whose name begins with `FACT`."""
        digest = name.rpartition(":")[2]
        if not value:
            self._close(digest)
        if digest in self._ended:
            return
        bound, since, seen = orjson.loads(value)
        known = self._sessions.get(digest)
        if known is not None:
            known.seen = max(known.seen, seen)
            return
        self._keep(Session(digest, bound, since, seen, seen), self._clock())
        self._news.set()
        self._news = asyncio.Event()

    async def _known(self, digest: str) -> Session | None:
        """The session; one that nobody knows here may just have begun elsewhere, and is waited for."""
        if digest not in self._sessions and not self._alone:
            try:
                async with asyncio.timeout(_SPREADING):
                    while digest not in self._sessions:
                        await self._news.wait()
            except TimeoutError:
                pass
        return self._sessions.get(digest)

    def _tell(self, session: Session, now: float) -> None:
        session.told = now
        value = orjson.dumps([session.bound, session.since, session.seen]).decode()
        self._share(FACT + session.digest, value, session.left(now))

    def _close(self, digest: str) -> None:
        self._sessions.pop(digest, None)
        self._ended[digest] = self._clock() + ABSOLUTE

    def _keep(self, session: Session, now: float) -> None:
        """Know one more; let go of what has ended, and of the oldest where there are too many."""
        self._sessions = {digest: known for digest, known in self._sessions.items() if known.left(now) > 0}
        self._ended = {digest: until for digest, until in self._ended.items() if until > now}
        while len(self._sessions) >= MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[session.digest] = session


def csrf_token(token: str) -> str:
    """What a page of ours knows and a foreign one does not, though the browser sends the cookie for both."""
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _bound(token: str, credentials: bytes) -> str:
    return hmac.new(token.encode("utf-8", "replace"), credentials, hashlib.sha256).hexdigest()
