"""What a request may cost at worst: so much of a client's budget is reserved before anything is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain

from gateway.api import Prices, Usage
from gateway.catalog import Target
from gateway.request.account import cost
from gateway.request.fallback import fallbacks
from gateway.request.transaction import Transaction

_CLASSES = ("cache_read", "cache_write", "cache_write_1h", "audio_input", "reasoning", "audio_output")
"""Those with a price of their own."""
UNBOUNDED = 4
"""A request that sets no limit to its output is taken to write so many times what its model usually does."""


def worst_cost(tx: Transaction, targets: Sequence[Target]) -> int:
    """Nano-dollars at the dearest candidate with a price, other providers to turn to included."""
    return max(_at(tx, target) for target in chain(targets, *fallbacks(tx, targets)))


def _at(tx: Transaction, target: Target) -> int:
    output = _most_output(tx, target) * tx.operation.dialect.answers(tx.body)
    usage = Usage(input=tx.demand.input_tokens, output=output, units=tx.units)
    return cost(tx, _dearest(target.prices), usage) or 0


def _most_output(tx: Transaction, target: Target) -> int:
    """Tokens of one answer: what the request or the operator allows, or else a generous guess."""
    if not tx.operation.writes:
        return 0
    ceiling = target.secret.max_tokens if tx.operation.dialect.limits else 0
    if tx.asked is not None:
        return min(tx.asked[1], ceiling or tx.asked[1])
    return ceiling or round(tx.live.memory.outputs.of(target.label) * UNBOUNDED)


@lru_cache(1024)
def _dearest(prices: Prices) -> Prices:
    """Every token at the price of the dearest class it may turn out to be in."""
    if not prices.known:
        return prices
    written = (prices.cache_write, prices.cache_write_1h)
    inputs = (prices.input, prices.cache_read, *written, prices.audio_input)
    outputs = (prices.output, prices.reasoning, prices.audio_output)
    return replace(
        prices,
        input=max(price for price in inputs if price is not None),
        output=max(price for price in outputs if price is not None),
        **dict.fromkeys(_CLASSES),
    )
