"""Windows as they stand: after a restart, and while the store does not answer."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from gateway.api import StoreUnavailable
from gateway_stores.file_link import Link
from tests.admin.browsing import Browser, browsing
from tests.admin.calling import ECHO, administered, call
from tests.daemon.running import KEY, Gateway, running

CLIENT = {"id": "one", "key": KEY, "limits": {"req_per_min": 3}, "budget": {"usd": 1, "window": "30d"}}
MANY = [{"id": f"idle-{number}", "key": f"sk-{number}", "limits": {"req_per_min": 9}} for number in range(60)]
PROVIDER = {**ECHO, "api_keys": ECHO["api_keys"][:1], "limits": {"req_per_min": 3}}  # type: ignore[index]


def stored(folder: Path, **sections: Any) -> dict[str, Any]:
    """A gateway whose windows outlive it."""
    runtime = {"type": "file", "path": str(folder / "coo-llm.db")}
    storage = {"config": {"type": "memory"}, "runtime": runtime, "journal": str(folder / "journal")}
    return administered(PROVIDER, api_keys=[*MANY, CLIENT], storage=storage, **sections)


def used(windows: dict[str, Any]) -> dict[str, int]:
    return {kind: one["used"] for kind, one in windows.items()}


async def client(gateway: Gateway) -> dict[str, int]:
    """What the client has used, by kind."""
    _, found = await call(gateway, "GET /clients/one")
    return used(found["windows"])


async def key(gateway: Gateway) -> Any:
    """The provider's only key."""
    _, found = await call(gateway, "GET /providers/up")
    return found["keys"][0]


async def use_up(folder: Path) -> int:
    """Fill the windows and stop; what the budget has lost."""
    async with running(stored(folder), folder) as gateway:
        assert [(await gateway.ask())[0] for _ in range(3)] == [200] * 3
        return (await client(gateway))["budget"]


async def test_what_was_used_is_shown_after_a_restart_before_anybody_asks(tmp_path: Path) -> None:
    spent = await use_up(tmp_path)
    assert spent > 0
    async with running(stored(tmp_path), tmp_path) as gateway:
        for _ in range(2):
            assert await client(gateway) == {"requests": 3, "budget": spent}
            assert ((await key(gateway))["state"], used((await key(gateway))["windows"])) == (
                "limited",
                {"requests": 3},
            )
        _, health = await call(gateway, "GET /health")
        assert health["provider_keys"] == {"up": {"limited": 1}}
        _, listed = await call(gateway, "GET /clients", sort="fullest", limit=2)
        assert used(listed["clients"][0]["windows"]) == {"requests": 3, "budget": spent}
        for one in (listed["clients"][0], (await call(gateway, "GET /clients/one"))[1]):
            budget = one["windows"]["budget"]
            assert budget["limit_usd"] == CLIENT["budget"]["usd"] == budget["limit"] / 1e9  # type: ignore[index]
            assert budget["used_usd"] == spent / 1e9
        _, body = await call(gateway, "POST /providers/up/keys/first/reset")
        assert used(body["key"]["windows"]) == {"requests": 3}
        async with browsing(gateway) as browser:
            await browser.log_in()
            await _check_pages(browser, spent)


async def _check_pages(browser: Browser, spent: int) -> None:
    answer = await browser.get("/ui/clients.csv?q=one")
    [row] = csv.DictReader(io.StringIO(answer.text))
    assert float(row["budget_used_usd"]) == pytest.approx(spent / 1e9)
    for page in ("/ui/clients/one", "/ui/clients?q=one"):
        assert "3 of 3" in (await browser.get(page)).words


async def test_a_dry_run_after_a_restart_foretells_the_refusal(tmp_path: Path) -> None:
    await use_up(tmp_path)
    async with running(stored(tmp_path), tmp_path) as gateway:
        _, found = await call(gateway, "POST /route", {"model": "m", "client": "one"})
        assert [limit[:31] for limit in found["client_limits"]] == ["its requests window is full: 3 "]
        assert [one["usable"] for one in found["candidates"]] == [False]
        assert (await gateway.ask())[0] == 429


async def test_all_clients_are_one_question_to_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchanges: list[int] = []
    exchange = Link.exchange

    async def counted(self: Link, asks: Any) -> Any:
        if not asks[0].number:
            exchanges.append(len(asks))
        return await exchange(self, asks)

    monkeypatch.setattr(Link, "exchange", counted)
    async with running(stored(tmp_path), tmp_path) as gateway:
        for sort in ("id", "fullest"):
            assert (await call(gateway, "GET /clients", sort=sort))[0] == 200
        assert exchanges == [len(MANY) + 1] * 2


async def test_while_the_store_does_not_answer_it_is_shown_what_this_process_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(stored(tmp_path), tmp_path) as gateway:
        assert (await gateway.ask())[0] == 200
        before = await client(gateway), used((await key(gateway))["windows"])

        async def lost(*_: object) -> None:
            raise StoreUnavailable("it is away")

        monkeypatch.setattr(Link, "exchange", lost)
        assert (await client(gateway), used((await key(gateway))["windows"])) == before
        assert (await call(gateway, "POST /route", {"model": "m", "client": "one"}))[0] == 200
        monkeypatch.undo()
