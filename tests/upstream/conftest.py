"""Every test with an event loop runs on asyncio's and on uvloop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from gateway.upstream.client import Client
from tests.upstream.peers import Script, Server

Serve = Callable[[Script], Server]


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@asynccontextmanager
async def running(client: Client) -> AsyncIterator[Client]:
    """Close the client in the end."""
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with running(Client()) as client:
        yield client


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a server that runs the given script for each connection; let no callback of the loop's fail."""
    servers: list[Server] = []
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

    def start(script: Script) -> Server:
        servers.append(Server(script))
        return servers[-1]

    yield start
    for server in servers:
        await server.close()
    assert reported == []
