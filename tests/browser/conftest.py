"""Fixtures of the browser tests; the package's docstring says how to use them.

The browser and the gateways live as long as the session, and so does the event loop of these tests.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page

from tests.browser.busy import CLIENTS, SERVER, Busy, busy_gateway, serving
from tests.browser.chromium import USUAL, View, chromium
from tests.browser.history import DAY, Served, fill, past
from tests.browser.hostile import hostile_gateway
from tests.browser.visits import Logins, Visits
from tests.browser.watch import Watch

_HERE = Path(__file__).parent
_MANY = {False: 100_000, True: 1_000_000}
"""Records of `large`, without and with ``--long``."""


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def logins() -> AsyncIterator[Logins]:
    """The browser, and who is logged in where."""
    async with chromium() as browser:
        yield Logins(browser)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def busy(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Busy]:
    """A gateway with a past and a present."""
    async with busy_gateway(tmp_path_factory.mktemp("busy")) as gateway:
        yield gateway


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def hostile(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Busy]:
    """A gateway whose names are all out to do harm."""
    async with hostile_gateway(tmp_path_factory.mktemp("hostile")) as gateway:
        yield gateway


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def large(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[Busy]:
    """A gateway with many records, of the last 30 days."""
    folder = tmp_path_factory.mktemp("large")
    count = _MANY[bool(request.config.getoption("--long"))]
    served = [Served("up", "one", f"model-{i}", f"model-{i}", 500, 1000) for i in range(8)]
    await fill(folder / "data/coo-llm.db", past(count, 30 * DAY, time.time(), CLIENTS, served))
    providers = [
        {"id": "up", "type": "echo", "model": "model-0", "api_keys": [{"id": "one", "key": "sk-up"}]}
    ]
    clients = [{"id": id, "key": f"sk-{id}"} for id in CLIENTS]
    config = {"server": SERVER, "llm_providers": providers, "api_keys": clients}
    async with serving(config, folder) as gateway:
        yield gateway


@pytest.fixture
def view() -> View:
    """How the test's page is looked at; ``parametrize("view", VIEWS, ids=str)`` for all there are."""
    return USUAL


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Fails the test at its end for what its pages must not do."""
    watch = Watch()
    yield watch
    watch.check()


@pytest_asyncio.fixture(loop_scope="session")
async def visit(logins: Logins, watch: Watch) -> AsyncIterator[Visits]:
    """Opens further pages, also of other gateways."""
    visits = Visits(logins, watch)
    yield visits
    await visits.end()


@pytest_asyncio.fixture(loop_scope="session")
async def page(visit: Visits, busy: Busy, view: View) -> Page:
    """A page of `busy`, logged in and watched."""
    return await visit(busy, view)
