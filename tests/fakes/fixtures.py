"""The fakes as pytest fixtures: ``pytest_plugins = ["tests.fakes.fixtures"]`` in a root conftest."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.gemini import FakeGemini
from tests.fakes.nasty import NastyServer
from tests.fakes.openai import FakeOpenAI
from tests.fakes.steps import answer


@pytest.fixture
async def fake_openai() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI() as fake:
        yield fake


@pytest.fixture
async def fake_anthropic() -> AsyncIterator[FakeAnthropic]:
    async with FakeAnthropic() as fake:
        yield fake


@pytest.fixture
async def fake_gemini() -> AsyncIterator[FakeGemini]:
    async with FakeGemini() as fake:
        yield fake


@pytest.fixture
async def nasty() -> AsyncIterator[NastyServer]:
    """A `NastyServer` that answers well until told otherwise."""
    async with NastyServer(answer()) as server:
        yield server
