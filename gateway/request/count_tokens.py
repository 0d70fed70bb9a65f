"""``POST /v1/messages/count_tokens``: counted by a provider that can, estimated where none does."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from aiohttp import web

from gateway.api import ApiError, Source, Usage
from gateway.catalog import Target
from gateway.request.admit import admit_unbilled
from gateway.request.dispatch import dispatch
from gateway.request.ending import whole
from gateway.request.head import line
from gateway.request.resolve import resolve
from gateway.request.serve import take_request
from gateway.request.transaction import Transaction
from gateway.server import Direct

_NO_COUNTER = frozenset({"model_not_found", "unsupported_parameter"})
"""Nobody who could have counted was there; other faults of the request are its own."""


async def count_tokens(tx: Transaction) -> web.StreamResponse:
    """It takes one place in the client's windows of requests, no tokens and no money. A provider that
    cannot be had is no reason to fail: the estimate stands in, and a header says so."""
    await take_request(tx)
    targets = resolve(tx)
    tx.demand.input_tokens = tx.demand.output_tokens = 0
    admission = await admit_unbilled(tx)
    try:
        return await _counted(tx, targets) or _estimated(tx)
    finally:
        await tx.live.store.settle(admission, 0)


async def _counted(tx: Transaction, targets: Sequence[Target]) -> web.StreamResponse | None:
    able = [target for target in targets if tx.operation.name in target.service.plugin.operations]
    if not able:
        return None
    try:
        return await dispatch(tx, able)
    except ApiError as error:
        if error.source is Source.CALLER and error.code not in _NO_COUNTER:
            raise
        return None


def _estimated(tx: Transaction) -> Direct:
    tx.usage, tx.cost = Usage(), 0
    body = orjson.dumps({"input_tokens": tx.input_estimate})
    return whole(tx, body, line("x-coo-estimated", "true"))
