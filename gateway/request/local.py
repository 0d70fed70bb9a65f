"""Providers that answer in the process (``echo``), in place of an upstream connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from gateway.api import Call, Serving, Upstream
from gateway.catalog import Target
from gateway.upstream.client import Client
from gateway.upstream.failure import FailureKind, UpstreamFailure
from gateway.upstream.receiver import Receiver

log = logging.getLogger(__name__)


class LocalExchange:
    """The running answer of a local provider; the counterpart of an upstream connection's exchange."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._readable = asyncio.Event()
        self._readable.set()
        self._task: asyncio.Task[None] | None = None

    def start(self, provider: Serving, call: Call, secret: str) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(provider, call, secret))

    def pause(self) -> None:
        self._readable.clear()

    def resume(self) -> None:
        self._readable.set()

    def abort(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self, provider: Serving, call: Call, secret: str) -> None:
        try:
            served = await provider.serve(call, secret)
            self._receiver.on_head(served.status, served.headers)
            await self._pass_on(served.body)
        except Exception:  # a plugin's bug fails its attempt, and nothing else
            log.exception("local provider failed")
            self._receiver.on_fail(UpstreamFailure(FailureKind.RESET, "The provider failed to answer."))
        else:
            self._receiver.on_end()

    async def _pass_on(self, body: AsyncIterator[bytes]) -> None:
        async for data in body:
            await self._readable.wait()
            self._receiver.on_data(data)


class LocalClient:
    """Sends to one local provider what `Client.send` would send over the network."""

    def __init__(self, provider: Serving, call: Call, secret: str) -> None:
        self._provider = provider
        self._call = call
        self._secret = secret

    async def send(self, request: Upstream, receiver: Receiver, connect_timeout: float) -> LocalExchange:
        exchange = LocalExchange(receiver)
        exchange.start(self._provider, self._call, self._secret)
        return exchange


def sender_of(target: Target, call: Call, client: Client) -> Client | LocalClient:
    """Who sends this target's requests."""
    provider = target.service.local
    return client if provider is None else LocalClient(provider, call, target.secret.secret)
