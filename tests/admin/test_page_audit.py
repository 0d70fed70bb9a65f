"""The audit page: entries, pages of them, and whether the chain holds."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway import audit as audit_log
from gateway.admin.pages import audit
from tests.admin.browsing import Browser, browsing
from tests.admin.calling import administered, audited, call
from tests.daemon.running import ADMIN, running

HOSTILE = "<img src=x onerror=stranger()>\u202e"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with (
        running(administered(logging=audited(tmp_path)), tmp_path) as gateway,
        browsing(gateway) as browser,
    ):
        await browser.log_in()
        yield browser


def whole(log: Path) -> list[str]:
    return log.read_text().splitlines(keepends=True)


async def test_who_did_what_when_newest_first(browser: Browser) -> None:
    await call(browser.gateway, "POST /clients", {"id": "lab"})
    await call(browser.gateway, "GET /clients/lab")
    await call(browser.gateway, "DELETE /clients/lab")
    words = (await browser.get("/ui/audit")).words
    newest = words.index("DELETE /admin/v1/clients/lab")
    assert newest < words.index("POST /admin/v1/clients") < words.index("POST /ui/login")
    assert "GET /admin/v1" not in words
    assert re.search(
        r"UTC key:\w+ 127\.0\.0\.1 DELETE /admin/v1/clients/lab api_keys\.lab 200 [\d.]+ ms", words
    )
    assert "GET /admin/v1/clients/lab" in (await browser.get("/ui/audit?only=all")).words


async def test_pages_go_back_to_the_first_line(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "ROWS", 2)
    for number in range(4):
        await call(browser.gateway, "POST /clients", {"id": f"c{number}"})
    found, path, text = [], "/ui/audit", ""
    while path:
        answer = await browser.get(path)
        text = answer.text
        found += re.findall(r"<td class=\"when\"><time", answer.text)
        older = re.search(r'href="([^"]*)" rel="next"', answer.text)
        path = older[1].replace("&amp;", "&") if older else ""
    assert len(found) == 5
    assert 'rel="first"' in text


async def test_what_was_read_is_gone_through_in_portions(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "MOST_LINES", 3)
    for _ in range(4):
        await call(browser.gateway, "GET /providers")
    answer = await browser.get("/ui/audit")
    assert "Nothing was changed in this part of the log." in answer.words
    older = re.search(r'<a href="([^"]*)">Look further back', answer.text)
    assert older is not None
    assert "POST /ui/login" in (await browser.get(older[1].replace("&amp;", "&"))).words


async def test_the_chain_is_followed_when_asked(browser: Browser, log: Path) -> None:
    await call(browser.gateway, "POST /clients", {"id": "lab"})
    assert "The chain holds" not in (await browser.get("/ui/audit")).words
    answer = await browser.get("/ui/audit?verify=yes")
    assert "The chain holds: 2 lines" in answer.words
    assert audit_log.verify(str(log)).last in answer.text
    lines = whole(log)
    await asyncio.to_thread(log.write_text, lines[0].replace("127.0.0.1", "127.0.0.9") + lines[1])
    answer = await browser.get("/ui/audit?verify=yes")
    assert "Line 2 does not follow the line before it" in answer.words
    assert "Sound lines before it: 1." in answer.words
    assert 'role="alert"' in answer.text


async def test_looking_is_not_written_down(browser: Browser, log: Path) -> None:
    before = whole(log)
    for path in ("/ui/audit", "/ui/audit?only=all", "/ui/audit?verify=yes"):
        assert (await browser.get(path)).status == 200
    assert whole(log) == before


async def test_whatever_stands_in_the_log_is_text(browser: Browser, log: Path) -> None:
    strange = {"time": HOSTILE, "caller": [HOSTILE], "address": {"a": HOSTILE}, "method": HOSTILE, "route": 7}
    stranger = {"route": "/{x}", "target": {"x": HOSTILE}, "status": HOSTILE, "changes": [HOSTILE], "ms": "x"}
    with log.open("a") as file:
        file.write(f"{json.dumps(strange)}\n{json.dumps(stranger)}\n[]\nno JSON\n{{}}\n")
    answer = await browser.get("/ui/audit?only=all")
    assert answer.status == 200
    assert "<img" not in answer.text and "\u202e" not in answer.text
    assert "&lt;img" in answer.text


async def test_without_a_log_it_says_how_to_have_one(tmp_path: Path) -> None:
    logging = {"file": {"enabled": False}, "audit": {"enabled": False}}
    async with running(administered(logging=logging), tmp_path) as gateway, browsing(gateway) as browser:
        await browser.log_in()
        answer = await browser.get("/ui/audit?verify=yes")
        assert answer.status == 200
        assert "The audit log is off." in answer.words
        assert '<form method="get"' not in answer.text


@pytest.mark.parametrize("query", ["before=0", "before=x", "only=some", "verify=perhaps", "colour=red"])
async def test_what_cannot_be_asked(browser: Browser, query: str) -> None:
    assert (await browser.get(f"/ui/audit?{query}")).status == 400


async def test_the_api_leaves_out_reads_as_well(browser: Browser) -> None:
    await call(browser.gateway, "GET /providers")
    await call(browser.gateway, "POST /route", {"model": "m"})
    await call(browser.gateway, "POST /config/validate", {"policy": {"algorithm": "hybird"}})
    async with browser.gateway.session.post(
        f"{browser.gateway.url}/api/admin/v1/route", json={"model": "m"}, headers=ADMIN
    ) as response:
        assert response.status == 200
    _, everything = await call(browser.gateway, "GET /audit")
    assert len(everything["entries"]) == 5
    _, body = await call(browser.gateway, "GET /audit", only="changes")
    assert [entry["route"] for entry in body["entries"]] == ["/ui/login"]
    assert (await call(browser.gateway, "GET /audit", only="some"))[0] == 400
