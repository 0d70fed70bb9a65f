"""Conformance suite for configuration stores: subclass `ConfigStoreConformance` and say how to make yours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.api import ConfigStore, Conflict


class ConfigStoreConformance:
    """What every configuration store must do. Each test begins without a document."""

    def make_config_store(self) -> ConfigStore:
        """A store of this test's document, not opened yet. Made twice in a test, both keep the same one."""
        raise NotImplementedError

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[ConfigStore]:
        store = self.make_config_store()
        await store.open()
        try:
            yield store
        finally:
            await store.close()

    async def test_at_first_there_is_nothing(self) -> None:
        async with self.opened() as store:
            assert await store.read() == ("", b"")
            assert await store.version() == ""

    async def test_what_was_written_is_read(self) -> None:
        async with self.opened() as store:
            expected = ""
            for data in (b'{"a":1}', b"{}", b'{"long":"%s"}' % (b"x" * 100_000)):
                version = await store.write(data, expected)
                assert version not in ("", expected)
                assert await store.read() == (version, data)
                assert await store.version() == version
                expected = version

    async def test_a_write_that_expects_another_version_changes_nothing(self) -> None:
        async with self.opened() as store:
            first = await store.write(b'{"a":1}', "")
            second = await store.write(b'{"a":2}', first)
            for expected in ("", first, "unheard-of"):
                with pytest.raises(Conflict):
                    await store.write(b'{"a":3}', expected)
            assert await store.read() == (second, b'{"a":2}')

    async def test_what_one_writes_the_other_sees(self) -> None:
        async with self.opened() as one, self.opened() as other:
            version = await one.write(b'{"by":"one"}', "")
            assert await other.version() == version
            newer = await other.write(b'{"by":"other"}', version)
            assert await one.read() == (newer, b'{"by":"other"}')

    async def test_of_two_writers_at_once_one_wins(self) -> None:
        async with self.opened() as one, self.opened() as other:
            for turn in range(10):
                expected = await one.version()
                drafts = [b'{"by":"%s","turn":%d}' % (name, turn) for name in (b"one", b"other")]
                answers = await asyncio.gather(
                    one.write(drafts[0], expected), other.write(drafts[1], expected), return_exceptions=True
                )
                [won] = [number for number, answer in enumerate(answers) if isinstance(answer, str)]
                assert isinstance(answers[1 - won], Conflict)
                assert await one.read() == (answers[won], drafts[won])

    async def test_it_outlives_those_who_wrote_it(self) -> None:
        async with self.opened() as store:
            version = await store.write(b'{"a":1}', "")
        async with self.opened() as store:
            assert await store.read() == (version, b'{"a":1}')
