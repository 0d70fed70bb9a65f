"""Every configuration store that comes with COO-LLM does what one must."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.api import ConfigStore
from gateway.api.testing.config_stores import ConfigStoreConformance
from gateway_stores.file_config import FileConfigStore
from gateway_stores.http_config import HttpConfigStore
from gateway_stores.memory import MemoryConfigStore
from tests.fakes.http_store import KEY, HttpStoreServer


class TestMemory(ConfigStoreConformance):
    @pytest.fixture(autouse=True)
    def _document(self) -> None:
        self.store = MemoryConfigStore()

    def make_config_store(self) -> ConfigStore:
        return self.store


class TestFile(ConfigStoreConformance):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.path = str(tmp_path / "data" / "config.json")

    def make_config_store(self) -> ConfigStore:
        return FileConfigStore(self.path)


class TestHttp(ConfigStoreConformance):
    @pytest.fixture(autouse=True)
    async def _server(self) -> AsyncIterator[None]:
        async with HttpStoreServer(time.monotonic) as self.server:
            yield

    def make_config_store(self) -> ConfigStore:
        return HttpConfigStore(self.server.addr, KEY)
