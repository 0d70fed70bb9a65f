"""The page of the providers: what it shows of keys, and everything that can be done with one."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.admin.browsing import Answer, Browser, browsing
from tests.admin.calling import ECHO, administered, audited, call
from tests.daemon.running import openai, running
from tests.fakes.openai import FakeOpenAI
from tests.fakes.upstream import Fault

STORAGE = {
    "config": {"type": "memory"},
    "runtime": {"type": "memory"},
    "master_key": "a master key for tests",
}
LIMITS = {"req_per_min": 10, "tokens_per_min": 100_000, "session_limit": 500_000, "session_type": "1h"}
SECRET = "sk-canary-that-was-added"
ADDED = [f"llm_providers.up.{setting}" for setting in ("id", "api_keys.third.id", "api_keys.third.key")]


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    up = {**ECHO, "limits": LIMITS, "name": "Echoes"}
    config = administered(up, logging=audited(tmp_path), storage=STORAGE)
    async with running(config, tmp_path) as gateway, browsing(gateway) as browser:
        await browser.log_in()
        yield browser


async def act(browser: Browser, path: str, **form: str) -> Answer:
    """Send a form of the page at ``path`` or below it, with its token."""
    token = (await browser.get("/ui/providers")).csrf
    return await browser.post(path, {"csrf": token, **form})


async def keys(browser: Browser) -> dict[str, Any]:
    _, body = await call(browser.gateway, "GET /providers/up")
    return {key["id"]: key for key in body["keys"]}


def changes(folder: Path) -> list[tuple[str, int, list[str]]]:
    """Route, status and changes of what was written, as the audit log has them."""
    lines = [json.loads(line) for line in (folder / "audit.log").read_text().splitlines()]
    return [(one["route"], one["status"], one["changes"]) for one in lines if one["method"] == "POST"]


async def test_it_shows_every_key_with_its_windows(browser: Browser) -> None:
    for _ in range(4):
        assert (await browser.gateway.ask())[0] == 200
    await browser.gateway.records(4)
    table, page = await browser.get("/ui/providers"), await browser.get("/ui/providers/up")
    for shown in (table, page):
        assert shown.status == 200
        assert "Echoes" in shown.words and "first" in shown.words and "second" in shown.words
        used = [int(number) for number in re.findall(r"(\d+) of 10 requests/min", shown.words)]
        assert len(used) == 2 and sum(used) == 4
        assert all(f'optimum="0" value="{number / 10}"' in shown.text for number in used)
        assert "of 500,000 session tokens" in shown.words
        assert "canary" not in shown.text
    assert "A session is 1 h." in page.words


async def test_a_key_is_disabled_and_enabled(browser: Browser, tmp_path: Path) -> None:
    answer = await act(browser, "/ui/providers/up/keys/first/disable", **{"from": "list"})
    assert (answer.status, answer.location) == (303, "/ui/providers")
    page = await browser.get(answer.location)
    assert "The key first of up is used no longer" in page.words and "switched off" in page.words
    assert (await keys(browser))["first"]["switched_off"]
    assert "switched off" in (await browser.get("/ui/providers?show=trouble")).words
    answer = await act(browser, "/ui/providers/up/keys/first/enable")
    assert answer.location == "/ui/providers/up"
    assert not (await keys(browser))["first"]["switched_off"]
    route = "/ui/providers/{id}/keys/{key}/{action}"
    assert [one for one in changes(tmp_path) if one[0] == route] == [
        (route, 303, ["up/first: disabled"]),
        (route, 303, ["up/first: enabled"]),
    ]


async def test_without_its_token_nothing_is_done(browser: Browser) -> None:
    assert (await browser.post("/ui/providers/up/keys/first/disable")).status == 403
    assert (await browser.post("/ui/providers/up", {"do": "add", "key": SECRET})).status == 403
    found = await keys(browser)
    assert set(found) == {"first", "second"} and not found["first"]["switched_off"]


async def test_what_is_not_there(browser: Browser) -> None:
    assert (await browser.get("/ui/providers/none")).status == 404
    assert (await act(browser, "/ui/providers/none", do="test", model="m")).status == 404
    assert (await act(browser, "/ui/providers/none", do="add", key="x")).status == 404
    assert (await act(browser, "/ui/providers/up/keys/none/disable")).status == 404
    assert (await act(browser, "/ui/providers/up/keys/first/explode")).status == 404
    assert (await act(browser, "/ui/providers/up", do="nothing")).status == 400
    assert (await browser.get("/ui/providers?show=some")).status == 400


async def test_a_key_in_trouble_says_why_and_is_reset(tmp_path: Path) -> None:
    async with FakeOpenAI() as upstream:
        config = administered(openai(upstream.url))
        async with running(config, tmp_path) as gateway, browsing(gateway) as browser:
            await browser.log_in()
            upstream.script.append(Fault(429, "Slow down <b>", {"retry-after": "100"}))
            await gateway.ask(model="gpt-4o")
            page = await browser.get("/ui/providers/up")
            assert "cooling" in page.words and "1 min 40 s left" in page.words
            assert "Last error:" in page.words
            key = (await keys(browser)).popitem()[0]
            assert (await act(browser, f"/ui/providers/up/keys/{key}/reset")).status == 303
            page = await browser.get("/ui/providers/up")
            assert "is as new" in page.words and "cooling" not in page.words
            assert "Last error" not in page.words
            assert (
                "Every key of every provider is usable."
                in (await browser.get("/ui/providers?show=trouble")).words
            )


async def test_keys_are_tested_in_place(tmp_path: Path) -> None:
    async with FakeOpenAI(keys=("sk-good",)) as upstream:
        pair = [{"id": "good", "key": "sk-good"}, {"id": "bad", "key": "sk-bad-canary"}]
        config = administered(openai(upstream.url) | {"api_keys": pair})
        async with running(config, tmp_path) as gateway, browsing(gateway) as browser:
            await browser.log_in()
            page = await act(browser, "/ui/providers/up", do="test", model="gpt-4o")
            assert page.status == 200 and "canary" not in page.text
            assert " good works 200" in page.words and " bad failed 401" in page.words
            page = await act(browser, "/ui/providers/up", do="test", key="good")
            assert " good works" in page.words and " bad failed" not in page.words
            page = await act(browser, "/ui/providers/up", do="test", model="x" * 300)
            assert page.status == 400 and "Name a model" in page.words


async def test_a_key_is_added_encrypted_and_removed(browser: Browser, tmp_path: Path) -> None:
    answer = await act(browser, "/ui/providers/up", do="add", id="third", key=f" {SECRET}\n")
    assert (answer.status, answer.location) == (303, "/ui/providers/up")
    page = await browser.get(answer.location)
    assert "up has the key third now." in page.words and "added here" in page.words
    assert SECRET not in page.text
    assert {key: one["source"] for key, one in (await keys(browser)).items()} == {
        "first": "file",
        "second": "file",
        "third": "api",
    }
    store = browser.gateway.live.managed.store
    assert SECRET.encode() not in (await store.read()).data
    secrets = {key.secret for key in browser.gateway.live.current.catalog.services["up"].keys}
    assert SECRET in secrets
    answer = await act(browser, "/ui/providers/up/keys/third/remove")
    assert "is removed" in (await browser.get(answer.location)).words
    assert set(await keys(browser)) == {"first", "second"}
    assert changes(tmp_path)[-2:] == [
        ("/ui/providers/{id}", 303, ADDED),
        ("/ui/providers/{id}/keys/{key}/{action}", 303, ["llm_providers.up.api_keys.third"]),
    ]


async def test_a_key_of_the_file_is_neither_removed_nor_overwritten(browser: Browser) -> None:
    page = await act(browser, "/ui/providers/up/keys/first/remove")
    assert page.status == 409 and "remove it there" in page.words
    page = await act(browser, "/ui/providers/up", do="add", id="first", key=SECRET)
    assert page.status == 409 and "has a key with the id first already" in page.words
    assert SECRET not in page.text
    assert (await keys(browser))["first"]["source"] == "file"


@pytest.mark.parametrize(
    ("form", "field"), [({"key": "a b"}, "key"), ({"key": ""}, "key"), ({"key": "sk-x", "id": "a b"}, "id")]
)
async def test_what_is_wrong_with_a_key_is_said_at_its_field(
    browser: Browser, form: dict[str, str], field: str
) -> None:
    page = await act(browser, "/ui/providers/up", do="add", **form)
    assert page.status == 422
    assert f'id="f-{field}-error"' in page.text and page.text.count('class="error"') == 1
    assert set(await keys(browser)) == {"first", "second"}


async def test_without_a_master_key_it_says_how_to_get_one(tmp_path: Path) -> None:
    async with running(administered(), tmp_path) as gateway, browsing(gateway) as browser:
        await browser.log_in()
        page = await browser.get("/ui/providers/up")
        assert "openssl rand -base64 32" in page.words and 'name="key"' not in page.text.split('id="add"')[1]
        page = await act(browser, "/ui/providers/up", do="add", id="third", key=SECRET)
        assert page.status == 409 and SECRET not in page.text
