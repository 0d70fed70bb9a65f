"""Every store that comes with COO-LLM does what a store must."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from itertools import count
from pathlib import Path
from typing import TypeVar, TypeVarTuple, Unpack

import pytest

from gateway.api import Store
from gateway.api.testing.clock import ManualClock
from gateway.api.testing.loop import ManualLoop
from gateway.api.testing.shared import SharedStoreConformance
from gateway.api.testing.stores import StoreConformance
from gateway_stores.file import FileStore
from gateway_stores.http_client import HttpClient
from gateway_stores.memory import MemoryStore
from gateway_stores.windows.authority import WindowAuthority
from tests.stores.asking import wait_for_answers
from tests.stores.leased import LeasedStore
from tests.stores.served_http import ServedHttpStore

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class TestMemory(StoreConformance):
    slack = 1 / 120
    examples = 100

    def make_store(self, clock: ManualClock) -> Store:
        store = MemoryStore()
        store.clock = clock
        return store


class TestLeased(StoreConformance):
    slack = 1 / 60 + 1 / 600
    examples = 100

    def make_store(self, clock: ManualClock) -> Store:
        return LeasedStore(WindowAuthority(), clock)

    def make_loop(self, clock: ManualClock) -> asyncio.AbstractEventLoop:
        return ManualLoop(clock)


class TestLeasedTogether(SharedStoreConformance):
    hears = False

    def make_stores(self, count: int) -> list[Store]:
        windows = WindowAuthority()
        return [LeasedStore(windows, time.monotonic) for _ in range(count)]


class InlineLoop(ManualLoop):
    """What is for a thread is done at once: no time passes meanwhile."""

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        done: asyncio.Future[T] = self.create_future()
        done.set_result(func(*args))
        return done


class TestFile(StoreConformance):
    slack = 1 / 60 + 1 / 600
    examples = 20

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.paths = (str(tmp_path / str(number) / "store.db") for number in count())

    def make_store(self, clock: ManualClock) -> Store:
        store = FileStore(next(self.paths))
        store.clock = clock
        return store

    def make_loop(self, clock: ManualClock) -> asyncio.AbstractEventLoop:
        return InlineLoop(clock)


class TestHttp(StoreConformance):
    slack = 1 / 60 + 1 / 600
    examples = 20

    @pytest.fixture(autouse=True)
    def _patient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        wait_for_answers(monkeypatch, HttpClient, "send")

    def make_store(self, clock: ManualClock) -> Store:
        return ServedHttpStore(clock)

    def make_loop(self, clock: ManualClock) -> asyncio.AbstractEventLoop:
        return ManualLoop(clock)
