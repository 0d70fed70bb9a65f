"""The journal within a gateway: its metrics, and requests that do not notice when it fails."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from gateway.ledger import mover, upkeep
from gateway.ledger.frame import decode, pieces
from gateway.ledger.segment import Segment
from tests.daemon.running import configured, running, until
from tests.ledger.support import crash, files, put, reopened

ECHO = {"id": "up", "type": "echo", "model": "m", "pricing": {"input_token_cost": 1, "output_token_cost": 2}}


def config(folder: Path) -> dict[str, Any]:
    storage = {
        "config": {"type": "memory"},
        "runtime": {"type": "file", "path": str(folder / "runtime.db")},
        "journal": str(folder / "journal"),
    }
    return configured(ECHO, storage=storage)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "SYNC_SECONDS", 0.01)


async def test_the_record_is_on_disk_with_the_last_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mover, "GATHER", 3600.0)
    async with running(config(tmp_path), tmp_path) as gateway:
        bodies: list[dict[str, Any]] = [{}, {"stream": True}, {"model": "unknown"}, {"messages": 1}]
        for number, body in enumerate(bodies, 1):
            async with gateway.chat(**body) as response:
                await response.read()
                [path] = files(tmp_path / "journal")
                *_, last = pieces(path.read_bytes())
                assert last.payload is not None
                record = decode(last.payload)
            assert record.request_id == response.headers["x-request-id"]
            assert record.status == response.status
            assert record.cost_nano_usd == (3_000_000 if response.status == 200 else None)
            assert gateway.live.journal.pending == number
            samples = await gateway.samples()
            assert samples.sum("journal_pending_records") == number
            assert samples.sum("journal_durable") == 1


async def test_requests_do_not_notice_a_disk_that_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with running(config(tmp_path), tmp_path) as gateway:
        with monkeypatch.context() as patch:
            patch.setattr(Segment, "write", full)
            patch.setattr(upkeep, "_probe", full)
            for number in range(1, 4):
                assert (await gateway.ask())[0] == 200
                assert len(await gateway.records(number)) == number
            assert (await gateway.samples()).sum("journal_durable") == 0
        await until(lambda: gateway.live.journal.durable)
        assert (await gateway.ask())[0] == 200
        assert len(await gateway.records(4)) == 4
        assert (await gateway.samples()).sum("journal_durable") == 1


async def test_without_a_store_that_lasts_there_is_no_journal(tmp_path: Path) -> None:
    async with running(configured(ECHO), tmp_path) as gateway:
        assert (await gateway.ask())[0] == 200
        await gateway.records(1)
        assert gateway.live.journal.folder is None
        assert gateway.live.journal.pending == 0
        assert "coo_llm_journal_durable" not in {sample.name for sample in (await gateway.samples()).all}


async def test_records_of_a_killed_gateway_are_in_the_store_of_the_next(tmp_path: Path) -> None:
    killed = reopened(tmp_path / "journal")
    put(killed, 1, 2, 3)
    crash(killed)
    async with running(config(tmp_path), tmp_path) as gateway:
        assert [record.request_id for record in await gateway.records(3)] == ["r-3", "r-2", "r-1"]
