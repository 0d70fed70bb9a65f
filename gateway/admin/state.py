"""What the admin API works with, what it knows of a call, and the keys under which both hang."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from aiohttp import web

from gateway.admin import dependencies, keystate, windows
from gateway.admin.kept import Kept
from gateway.admin.rate import CallRate
from gateway.admin.sessions import FACT, Session, Sessions
from gateway.audit import AuditLog
from gateway.passwords import PasswordChecks
from gateway.reload import Reloader
from gateway.runtime import Live

QUERIES_AT_ONCE = 4
"""Questions to the usage records that run at the same time: requests of clients come first."""


@dataclass(slots=True)
class AdminState:
    """Shared by the routes with and without ``/api``."""

    live: Live
    reloader: Reloader
    sessions: Sessions
    audit: AuditLog | None
    """None where ``logging.audit.enabled`` is false."""
    calls: CallRate = field(default_factory=CallRate)
    """Calls with a key, and failed ones."""
    session_calls: CallRate = field(default_factory=CallRate)
    failures: CallRate = field(default_factory=CallRate)
    """Failed logins, by account."""
    queries: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(QUERIES_AT_ONCE))
    streams: int = 0
    """Live streams that are open."""
    passwords: PasswordChecks = field(default_factory=PasswordChecks)
    kept: Kept = field(default_factory=Kept)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call, as the audit log has it."""

    address: str
    name: str | None = None
    """``key:`` and its fingerprint, ``session:`` and its id; None: nobody we know."""
    session: Session | None = None


ADMIN: web.AppKey[AdminState] = web.AppKey("gateway.admin", AdminState)
CALLER: web.RequestKey[Caller] = web.RequestKey("gateway.admin.caller", Caller)
TARGET: web.RequestKey[dict[str, str]] = web.RequestKey("gateway.admin.target", dict)
QUESTION: web.RequestKey[bool] = web.RequestKey("gateway.admin.question", bool)
CHANGES: web.RequestKey[list[str]] = web.RequestKey("gateway.admin.changes", list)


def note_change(request: web.Request, *paths: str) -> None:
    """Let the audit log say what the call changed: paths of settings (``policy.algorithm``), never values."""
    request[CHANGES] = [*request.get(CHANGES, ()), *paths]


def note_target(request: web.Request, **named: str) -> None:
    """Let the audit log say what the call is about, where its path does not."""
    request[TARGET] = named


def note_question(request: web.Request) -> None:
    """The call only asks something, whatever its method: where reading is not audited, nor is this."""
    request[QUESTION] = True


def make_state(live: Live, reloader: Reloader) -> AdminState:
    """To be called once for an application."""
    audit = live.current.config.logging.audit
    alone = live.site.workers == 1 and not live.store.shared
    sessions = Sessions(live.store.share, alone=alone)
    others = live.site.heard

    def heard(name: str, value: str, seconds: float) -> None:
        if name.startswith(FACT):
            sessions.heard(name, value)
        else:
            others(name, value, seconds)

    async def keys(_: object) -> object:
        return await keystate.standing(live)

    async def needed(_: object) -> object:
        return dependencies.standing(live, state.audit)

    async def known(subjects: list[str]) -> object:
        return await windows.known(live, subjects)

    live.site.heard = heard
    live.peers.serve(keystate.TOPIC, keys)
    live.peers.serve(dependencies.TOPIC, needed)
    live.peers.serve(windows.TOPIC, known)
    state = AdminState(live, reloader, sessions, AuditLog(audit.path) if audit.enabled else None)
    return state
