"""The routing dry run: every candidate of a request, what it scores, and which one would be asked and why."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import orjson
from aiohttp import web

from gateway.admin.body import only, text
from gateway.admin.errors import AdminError
from gateway.admin.ledger import dollars
from gateway.admin.state import AdminState
from gateway.admin.verdict import Verdict, why
from gateway.admin.windows import Windows, windows_of
from gateway.api import ApiError, Unsupported, Usage
from gateway.catalog import Target
from gateway.clients import Client
from gateway.keys import REQUEST_ID
from gateway.request.authenticate import refusal
from gateway.request.budget import worst_cost
from gateway.request.errors import quoted
from gateway.request.fallback import fallbacks
from gateway.request.operations import CHAT
from gateway.request.plan import allowing_first
from gateway.request.resolve import resolve
from gateway.request.serve import take
from gateway.request.transaction import Transaction
from gateway.request.translate import prepared
from gateway.runtime import Live, Runtime

MAX_TOKENS = 10**9
_NOT_LET_IN = "The client is not let in: its keys have expired, or it has none where one is needed."
_AT_LIMIT = "The client is at a limit of its own: it would get 429 before any candidate is asked."
_HELLO = [{"role": "user", "content": "Hello"}]


async def route(state: AdminState, call: web.Request, body: dict[str, Any]) -> dict[str, Any]:
    """Where the chat of ``body`` would go now. Nothing is sent, reserved or counted. ``call``: the one that
    asks, for its request id. Raises `AdminError` for a body that asks nothing."""
    try:
        tx = _transaction(state.live, call, body)
    except ApiError as error:
        raise AdminError(error.status, error.message, headers=error.headers) from None
    if tx.client.id and state.live.current.clients.served(tx.client.id, time.time()) is None:
        return _report(tx, [], error=refusal())
    try:
        targets = resolve(tx)
    except ApiError as error:
        return _report(tx, _excluded(tx, ()), error=error)
    groups = [*fallbacks(tx, targets)]
    candidates = chain(targets, *groups)
    windows = await windows_of(state.live, [tx.client.meter, *(target.meter for target in candidates)])
    now = time.monotonic()
    verdicts = _judge(tx, targets, windows, now, fallback=False)
    for others in groups:
        verdicts += _judge(tx, others, windows, now, fallback=True)
    verdicts += _excluded(tx, targets)
    return _report(tx, verdicts, _client_limits(tx, targets, windows))


def _transaction(live: Live, call: web.Request, body: dict[str, Any]) -> Transaction:
    """The request that is asked about. Raises `AdminError`, and `ApiError` 400."""
    only(body, "model", "client", "messages", "input_tokens", "max_tokens", "stream")
    runtime = live.current
    tx = Transaction(call, live, runtime, _client(runtime, body), CHAT, call[REQUEST_ID])
    asked = {"model": body.get("model"), "messages": body.get("messages", _HELLO)}
    asked |= {name: body[name] for name in ("max_tokens", "stream") if name in body}
    take(tx, asked, orjson.dumps(asked))
    given = body.get("input_tokens")
    if given is not None:
        if type(given) is not int or not 0 <= given <= MAX_TOKENS:
            raise AdminError(400, f"input_tokens: must be a whole number from 0 to {MAX_TOKENS}.")
        tx.input_estimate = given
    return tx


def _client(runtime: Runtime, body: dict[str, Any]) -> Client:
    """The client that is named, or one that may use everything."""
    clients = runtime.clients
    if body.get("client") is None:
        return replace(clients.anonymous, id="", providers=None, models=None)
    id = text(body, "client")
    client = clients.served(id, time.time()) or clients.named(id)
    if client is None:
        raise AdminError(404, f"There is no client {quoted(id)}.")
    return client


def _judge(
    tx: Transaction,
    targets: Sequence[Target],
    windows: Mapping[str, Windows],
    now: float,
    *,
    fallback: bool,
) -> list[Verdict]:
    """The candidates in the order in which they would be asked, then those that are resting: as a plan
    does, score all that do not rest, put those first that allow as many tokens as were asked."""
    verdicts = {target: Verdict(target, fallback) for target in targets}
    free, scored = [], []
    for target, verdict in verdicts.items():
        if rest := _rest(target, now):
            verdict.reasons.append(rest)
        else:
            free.append(target)
    for score in tx.runtime.algorithm.explain(free, tx.demand, now):
        assert isinstance(score.candidate, Target)
        verdict = verdicts[score.candidate]
        verdict.score, verdict.terms = score.total, dict(score.terms)
        verdict.reasons += _hindrances(tx, verdict.target, windows[verdict.target.meter.subject], now)
        verdict.held_back = not verdict.reasons and not verdict.target.state.circuit.would_admit(now)
        scored.append(verdict.target)
    order = [verdicts.pop(target) for target in allowing_first(tx, scored)]
    return [*sorted(order, key=lambda verdict: verdict.held_back), *verdicts.values()]


def _excluded(tx: Transaction, candidates: Sequence[Target]) -> list[Verdict]:
    """The targets of the model that are not among this client's ``candidates``."""
    if tx.pool is None:
        return []
    of_providers = tx.pool.within(tx.client.providers)
    allowed = tx.client.allowed(of_providers, tx.alias)
    left_out = []
    for target in tx.pool.targets:
        if target in candidates:
            continue
        if target not in of_providers:
            reason = "the client may not use this provider"
        elif target not in allowed:
            reason = "the client may not use this model"
        else:
            reason = "its price is not known, and the client has a budget"
        left_out.append(Verdict(target, False, [reason]))
    return left_out


def _rest(target: Target, now: float) -> str | None:
    """Why a key is not used at all just now."""
    seconds = target.meter.cooled_until - now
    if target.secret.state.off:
        return "disabled by an operator"
    if target.secret.state.penalty.disabled(now):
        return f"disabled for {_seconds(seconds)}: the provider rejected the key"
    return f"cooling down for {_seconds(seconds)}" if seconds > 0 else None


def _hindrances(tx: Transaction, target: Target, windows: Windows, now: float) -> list[str]:
    """What keeps this request from a key that is in use."""
    found = []
    circuit = target.state.circuit
    if circuit.state(now) != "closed" and not circuit.would_admit(now):
        found.append("its circuit is open: too many requests failed")
    found += full_windows(windows, tx.demand.input_tokens + tx.demand.output_tokens)
    try:
        *_, dropped = prepared(tx, target)
        if dropped and tx.runtime.config.policy.on_lossy == "refuse":
            found.append(f"{dropped[0]} would be lost, and policy.on_lossy is refuse")
    except Unsupported as unsupported:
        found.append(f"the provider does not support {unsupported}")
    return found


def full_windows(windows: Windows, tokens: int, cost: int = 0) -> list[str]:
    """The windows that have no room for one more request with ``tokens`` that costs ``cost`` nano-dollars."""
    needs = {"tokens": tokens, "session": tokens, "budget": cost}
    found = []
    for kind, limit, used, reset in windows.values():
        if used + min(needs.get(kind, 1), limit) > limit:
            filled = (
                f"${dollars(used):f} of ${dollars(limit):f}" if kind == "budget" else f"{used} of {limit}"
            )
            found.append(f"its {kind} window is full: {filled}, all free in {_seconds(reset)}")
    return found


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s"


def _report(
    tx: Transaction,
    verdicts: list[Verdict],
    limits: Sequence[str] = (),
    *,
    error: ApiError | None = None,
) -> dict[str, Any]:
    """``limits``: see `_client_limits`. ``error``: what the client would get before any candidate."""
    usable = [verdict for verdict in verdicts if not verdict.reasons]
    chosen = usable[0] if usable and not limits else None
    return {
        "model": tx.alias,
        "client": tx.client.id or None,
        "algorithm": tx.runtime.config.policy.algorithm,
        "expected": {"input_tokens": tx.demand.input_tokens, "output_tokens": tx.demand.output_tokens},
        "chosen": None if chosen is None else _name(chosen.target),
        "why": _AT_LIMIT if limits else _why(tx, usable, error),
        "refusal": error and {"status": error.status, "code": error.code, "message": error.message},
        "client_limits": list(limits),
        "candidates": [_candidate_json(tx, verdict) for verdict in verdicts],
    }


def _client_limits(tx: Transaction, targets: Sequence[Target], windows: Mapping[str, Windows]) -> list[str]:
    """The client's own windows that have no room: it would get 429 before any candidate is looked at."""
    if not tx.client.id:
        return []
    cost = worst_cost(tx, targets) if tx.client.meter.limits.budget else 0
    own = windows[tx.client.meter.subject]
    return full_windows(own, tx.demand.input_tokens + tx.demand.output_tokens, cost)


def _why(tx: Transaction, usable: list[Verdict], error: ApiError | None) -> str:
    if error is not None:
        return _NOT_LET_IN if error.status == 401 else error.message
    if not usable:
        return (
            f"No candidate can be asked now; policy.on_exhausted is {tx.runtime.config.policy.on_exhausted}."
        )
    return why(usable, tx.runtime.config.policy.algorithm)


def _candidate_json(tx: Transaction, verdict: Verdict) -> dict[str, Any]:
    target, demand = verdict.target, tx.demand
    cost = target.prices.cost(Usage(input=demand.input_tokens, output=demand.output_tokens))
    return {
        **_name(target),
        "fallback": verdict.fallback,
        "usable": not verdict.reasons,
        "reasons": verdict.reasons,
        "held_back": verdict.held_back,
        "rejected": target.secret.state.penalty.rejected,
        "score": verdict.score,
        "terms": verdict.terms,
        "expected_cost": dollars(cost),
        "expected_cost_nano_usd": cost,
    }


def _name(target: Target) -> dict[str, str]:
    return {"provider": target.provider, "key": target.key, "model": target.model}
