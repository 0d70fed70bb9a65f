"""The default store under the real gateway: what outlives it, and what it says when its files are no good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from gateway.api import Filter, Site
from gateway_stores.file import FileStore
from tests.daemon.children import children
from tests.daemon.command import coo_llm
from tests.daemon.running import HELLO, KEY, configured, until
from tests.daemon.working import alive
from tests.fakes.daemon import Daemon

ECHO = {"id": "up", "type": "echo", "model": "m"}
LIMIT = 4
UNDECIDED = 503
STORE = Path("data/coo-llm.db")
"""Below the working directory, as by default."""


def config(workers: int = 1) -> dict[str, Any]:
    return configured(
        ECHO,
        api_keys=[{"id": "one", "key": KEY, "limits": {"req_per_min": LIMIT}}],
        server={"workers": workers},
        logging={"file": {"enabled": False}, "audit": {"enabled": False}},
        storage={"on_trouble": "closed"},
    )


async def statuses(daemon: Daemon, count: int) -> list[int]:
    """What so many requests one after the other are answered with. On a busy machine the supervisor may not
    tell a worker in time how a limit stands: then nothing is decided, and it is asked again."""
    headers, found = {"authorization": f"Bearer {KEY}"}, list[int]()
    while len(found) < count:
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(
                f"{daemon.url}/v1/chat/completions", json={"model": "m", "messages": HELLO}
            ) as response,
        ):
            if response.status != UNDECIDED:
                found.append(response.status)
    return found


async def recorded(folder: Path) -> list[int]:
    """The statuses of all records, oldest first; nobody else may have the store open."""
    store = FileStore(str(folder / STORE))
    await store.open(Site())
    records = await store.requests(Filter(), 10_000)
    await store.close()
    return [record.status for record in reversed(records) if record.status != UNDECIDED]


@pytest.mark.parametrize("workers", [1, 2])
async def test_limits_and_records_outlive_kill_9(workers: int, tmp_path: Path) -> None:
    daemon = Daemon(config(workers), tmp_path)
    await daemon.start()
    assert await statuses(daemon, LIMIT - 1) == [200] * (LIMIT - 1)
    orphans = [child.pid for child in children(daemon.pid)]
    await daemon.kill()
    await until(lambda: not any(map(alive, orphans)))  # else they take connections beside the new ones
    async with daemon:
        after = await statuses(daemon, 3)
        assert after in ([200, 429, 429], [429, 429, 429]), "what was held when it ended counts as used"
        await until(lambda: moved(tmp_path))
    assert await recorded(tmp_path) == [200] * (LIMIT - 1) + after


async def test_limits_hold_over_all_workers_and_an_orderly_restart(tmp_path: Path) -> None:
    daemon = Daemon(config(2), tmp_path)
    async with daemon:
        assert await statuses(daemon, LIMIT + 3) == [200] * LIMIT + [429] * 3
    async with daemon:
        assert await statuses(daemon, 2) == [429, 429]


async def test_a_damaged_byte_frees_no_limit(tmp_path: Path) -> None:
    daemon = Daemon(config(), tmp_path)
    async with daemon:
        assert await statuses(daemon, LIMIT) == [200] * LIMIT
    with (tmp_path / f"{STORE}.windows").open("r+b") as file:
        file.seek(60)
        file.write(b"\xff")
    async with daemon:
        assert await statuses(daemon, 1) == [429]
    assert daemon.stderr.count("a file of windows was damaged") == 1
    assert copies(tmp_path) == 1


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_second_daemon_ends_with_4(workers: int, tmp_path: Path) -> None:
    async with Daemon(config(), tmp_path):
        other = tmp_path / "other.yaml"
        other.write_text(
            yaml.safe_dump({**config(workers), "server": {"listen": "127.0.0.1:0", "workers": workers}})
        )
        done = await coo_llm("-c", str(other), folder=tmp_path)
    assert done.code == 4
    [line] = [line for line in done.err.splitlines() if not line.startswith("{")]
    assert line.startswith(f"cannot start: ./{STORE}: is in use by another gateway (process ")


async def test_a_path_that_cannot_be_written_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**config(), "storage": {"journal": "./journal"}}))
    done = await coo_llm("-c", "config.yaml", folder=tmp_path)
    assert done.code == 1
    [line] = [line for line in done.err.splitlines() if not line.startswith("{")]
    assert line.startswith("cannot start: ")
    assert str(tmp_path / "data") in line


async def test_a_damaged_database_is_no_crash_loop(tmp_path: Path) -> None:
    daemon = Daemon(config(), tmp_path)
    async with daemon:
        assert await statuses(daemon, 1) == [200]
    garble(tmp_path / STORE)
    async with daemon:
        await statuses(daemon, 1)
    assert daemon.stderr.count("the database was damaged") == 1
    assert "Traceback" not in daemon.stderr
    async with daemon:
        assert daemon.stderr.count("the database was damaged") == 1
    assert len(await recorded(tmp_path)) == 2


def moved(folder: Path) -> bool:
    """Whether nothing waits in the journal, not even what the killed left."""
    try:
        return not any(path.stat().st_size for path in (folder / "data" / "journal").glob("*.journal"))
    except FileNotFoundError:  # gone in the meantime
        return False


def copies(folder: Path) -> int:
    """How many copies of damaged windows there are."""
    return len(list(folder.glob(f"{STORE}.windows.corrupt-*")))


def garble(path: Path) -> None:
    """Overwrite the first page."""
    with path.open("r+b") as file:
        file.write(b"SQLite format 3\0" + b"\xff" * 20)
