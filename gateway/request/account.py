"""Settling a request: windows, money, its record and its metrics, once, however it ended."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import NamedTuple

from gateway.api import Prices, Reader, Record, Usage
from gateway.api.ledger import LARGEST_COST
from gateway.api.usage import NO_UNITS
from gateway.catalog import OTHER
from gateway.ledger.frame import encode
from gateway.request.plan import Choice
from gateway.request.transaction import Transaction
from gateway.routing.estimate import tokens_of_text

BEHIND = 2
"""If an answer broke off and has more than this many times the tokens that its figures say, they are old."""


async def settle(tx: Transaction, choice: Choice, reader: Reader | None) -> None:
    """Settle the key's reservation with what was used; None: nothing was."""
    used = 0
    try:
        if reader is not None:
            usage, tx.cost = reckoned(tx, choice, reader)
            tx.usage = usage
            if usage.total and (tx.operation.priced_by_tokens or not usage.estimated):
                tx.live.memory.outputs.learn(choice.target.label, usage.completion)
            used = usage.total
    finally:  # a plugin's bug in counting must not keep the slot
        await tx.live.store.settle(choice.reservation, used)
    if tx.live.queue.size:  # whoever waits for what was reserved too much, or for the slot, may try
        tx.live.queue.wake()


def reckoned(tx: Transaction, choice: Choice, reader: Reader) -> tuple[Usage, int | None]:
    """What was used, as far as ``reader`` has come, and its cost in nano-dollars. A cost that is more than
    stores can keep is cut down to `LARGEST_COST`, and the usage marked as estimated."""
    usage = _used(tx, reader)
    price = cost(tx, choice.target.prices, usage)
    if price == LARGEST_COST:
        target = choice.target
        tx.live.complain_of_cost(
            "an answer costs more than can be believed", provider=target.provider, model=target.label
        )
        usage = replace(usage, estimated=True)
    return usage, price


def _used(tx: Transaction, reader: Reader) -> Usage:
    """What the provider named; what it did not name, or not yet when the answer broke off, is estimated."""
    usage = reader.usage or Usage(estimated=True)
    if usage.estimated and not usage.prompt:
        usage = replace(usage, input=tx.demand.input_tokens)
    made = tokens_of_text(reader.produced)
    behind = not reader.complete and usage.completion * BEHIND < made and tx.operation.priced_by_tokens
    if usage.estimated or behind:
        missing = max(made - usage.completion, 0)
        return replace(usage, output=usage.output + missing, estimated=True)
    return usage


def charged(tx: Transaction) -> int:
    """Nano-dollars that the request takes out of its client's budget: what was reserved, where nobody knows
    what was used."""
    if tx.cost is None and tx.usage is not None:
        return tx.reserved_cost
    return tx.cost or 0


def cost(tx: Transaction, prices: Prices, usage: Usage) -> int | None:
    """Nano-dollars, at most `LARGEST_COST`; None where a price or what it is for is unknown."""
    exact = prices.cost(usage) if tx.operation.priced_by_tokens else prices.cost_by_unit(usage)
    return None if exact is None else min(exact, LARGEST_COST)


class _Times(NamedTuple):
    """Seconds since the request began; ``overhead``: those of them that are the gateway's own."""

    total: float
    overhead: float
    first_token: float | None


def close_books(tx: Transaction) -> None:
    """Write the record and count the request, before the last byte goes out. A second call does nothing."""
    if tx.closed or tx.left:
        return
    tx.closed = True
    total = time.monotonic() - tx.started
    overhead = max(total - tx.upstream_seconds - tx.waited_seconds - tx.upload_seconds, 0.0)
    times = _Times(total, overhead, None if tx.first_token is None else tx.first_token - tx.started)
    record = _record(tx, times)
    payload = encode(record)
    tx.live.journal.put(record, payload)
    tx.live.log.put(record, payload, tx.content)
    _count(tx, times)


def _record(tx: Transaction, times: _Times) -> Record:
    record = Record(
        time=time.time() - times.total,
        config_version=tx.runtime.version,
        request_id=tx.request_id,
        client=tx.client.id,
        operation=tx.operation.name,
        alias=tx.alias,
        status=tx.status,
        error=tx.error.code if tx.error is not None else None,
        attempts=tx.attempts,
        stream=tx.stream,
        cache=tx.cache,
        first_token_ms=None if times.first_token is None else round(times.first_token * 1000, 3),
        total_ms=round(times.total * 1000, 3),
        overhead_ms=round(times.overhead * 1000, 3),
        partial=tx.partial,
    )
    if tx.target is not None:
        record.provider, record.key, record.model = tx.target.provider, tx.target.key, tx.target.model
    if tx.usage is not None:
        usage = tx.usage
        record.input_tokens, record.cached_tokens = usage.prompt, usage.cache_read
        record.output_tokens, record.reasoning_tokens = usage.completion, usage.reasoning
        record.estimated = usage.estimated
        if usage.units is not NO_UNITS:
            record.units = usage.units.counted()
        record.cost_nano_usd = tx.cost
    return record


def _count(tx: Transaction, times: _Times) -> None:
    """The same for the metrics."""
    provider, model = ("none", OTHER) if tx.target is None else (tx.target.provider, tx.target.label)
    series = tx.live.metrics.request(provider, model, tx.client.id)
    if tx.usage is not None:
        series.tokens(tx.usage)
        if tx.cost is None:
            tx.live.metrics.unknown_price(provider, model)
        else:
            series.cost(tx.cost)
    if tx.error is not None:
        tx.live.metrics.error(provider, tx.error.code)
    series.done(tx.status, times.total, times.overhead, times.first_token)
