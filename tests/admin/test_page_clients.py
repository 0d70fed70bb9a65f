"""The pages of the clients: found and shown, made, changed, given another key, shut out, as CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from gateway.api import StoreUnavailable
from tests.admin.browsing import Answer, Browser, browsing
from tests.admin.calling import administered, audited, call
from tests.daemon.running import Gateway, running

NEW = "/ui/clients/+new"


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    config = administered(logging=audited(tmp_path))
    config["api_keys"][0]["limits"] = {"req_per_min": 100}
    async with running(config, tmp_path) as gateway, browsing(gateway) as browser:
        await browser.log_in()
        yield browser


async def act(browser: Browser, path: str, **form: str) -> Answer:
    """Send a form of the page at ``path``, as it is but for what ``form`` says."""
    page = await browser.get(path)
    return await browser.post(path, {**fields(page), "csrf": page.csrf, **form})


def fields(page: Answer) -> dict[str, str]:
    """What the fields of the page's forms hold."""
    inputs = re.findall(r'<input id="f-([^"]+)"[^>]* value="([^"]*)"', page.text)
    areas = re.findall(r'<textarea id="f-([^"]+)"[^>]*>\n([^<]*)</textarea>', page.text)
    hidden = re.findall(r'name="(shown)" value="([^"]*)"', page.text)
    return {name: unescape(value) for name, value in (*inputs, *areas, *hidden)}


async def client(browser: Browser, id: str) -> Any:
    status, body = await call(browser.gateway, f"GET /clients/{id}")
    return body if status == 200 else None


async def status_of(gateway: Gateway, key: str) -> int:
    status: int = (await gateway.of(key).ask())[0]
    return status


def shown_key(page: Answer) -> str | None:
    found = re.search(r"<code>(sk-coo-[\w-]+)</code>", page.text)
    return found[1] if found else None


def changes(folder: Path) -> list[tuple[int, list[str]]]:
    """Status and changes of what was written, as the audit log has them."""
    lines = [json.loads(line) for line in (folder / "audit.log").read_text().splitlines()]
    return [(one["status"], one["changes"]) for one in lines if "/ui/clients" in one["route"]]


async def test_a_client_is_made_and_its_key_shown_once(browser: Browser, tmp_path: Path) -> None:
    form = {"id": "two", "description": "The second", "allowed_models": "m\ngpt-*"}
    answer = await act(browser, NEW, **form, **{"limits.req_per_min": "5", "budget.usd": "0.1"})
    assert (answer.status, answer.location) == (303, "/ui/clients/two")
    page = await browser.get(answer.location)
    key = shown_key(page)
    assert key is not None and key not in str(answer.cookies)
    assert await status_of(browser.gateway, key) == 200
    for path in ("/ui/clients/two", "/ui/clients"):
        assert key not in (await browser.get(path)).text
    made = await client(browser, "two")
    assert (made["description"], made["allowed_models"]) == ("The second", ["m", "gpt-*"])
    assert (made["limits"]["req_per_min"], made["budget"]["usd"], made["source"]) == (5, 0.1, "api")
    assert changes(tmp_path) == [(303, ["api_keys.two"])]
    assert key not in (tmp_path / "audit.log").read_text()


async def test_a_key_that_is_given_is_not_shown_at_all(browser: Browser) -> None:
    answer = await act(browser, NEW, id="two", key="sk-given-canary")
    page = await browser.get(answer.location)
    assert "with the key that you gave" in page.words and "canary" not in page.text
    assert await status_of(browser.gateway, "sk-given-canary") == 200


@pytest.mark.parametrize(
    ("form", "status", "field"),
    [
        ({"id": "a b"}, 400, "id"),
        ({"id": "anonymous"}, 400, "id"),
        ({"key": "a b"}, 400, "key"),
        ({"limits.req_per_min": "many"}, 400, "limits.req_per_min"),
        ({"limits.max_parallel": "-1"}, 400, "limits.max_parallel"),
        ({"budget.usd": "1e5"}, 400, "budget.usd"),
        ({"budget.window": "soon"}, 400, "budget.window"),
        ({"expires_at": "31.1.2027"}, 400, "expires_at"),
        ({"allowed_providers": "up\nupp"}, 400, "allowed_providers"),
        ({"allowed_models": " \n"}, 400, "allowed_models"),
    ],
)
async def test_what_is_wrong_is_said_at_its_field(
    browser: Browser, form: dict[str, str], status: int, field: str
) -> None:
    page = await act(browser, NEW, description="Kept <b>", **form)
    assert page.status == status
    assert f'id="f-{field}-error"' in page.text and page.text.count('class="error"') == 1
    assert fields(page)["description"] == "Kept <b>"
    if field != "key":
        assert fields(page)[field] == form[field].strip()
    _, listed = await call(browser.gateway, "GET /clients/list")
    assert [one["id"] for one in listed["clients"]] == ["one"]


async def test_a_name_that_is_taken(browser: Browser) -> None:
    page = await act(browser, NEW, id="one")
    assert page.status == 409 and "a client with the id" in page.words


async def test_only_what_was_changed_is_set(browser: Browser, tmp_path: Path) -> None:
    answer = await act(browser, "/ui/clients/one", do="change", description="First")
    assert (await browser.get(answer.location)).words.count("Saved, and in force.") == 1
    one = await client(browser, "one")
    assert (one["description"], one["limits"]["req_per_min"]) == ("First", 100)
    assert (one["changed"], one["changes"]) == (True, ["description"])
    assert changes(tmp_path) == [(303, ["api_keys.one.description"])]
    answer = await act(browser, "/ui/clients/one", do="change")
    assert "Nothing was changed." in (await browser.get(answer.location)).words


async def test_every_setting_is_set_and_taken_back(browser: Browser) -> None:
    settings = {
        "allowed_providers": "up",
        "limits.req_per_min": "",
        "limits.tokens_per_min": "1000",
        "budget.usd": "12.5",
        "budget.window": "36h",
        "expires_at": "2099-01-31T12:00",
    }
    await act(browser, "/ui/clients/one", do="change", **settings)
    one = await client(browser, "one")
    assert one["allowed_providers"] == ["up"] and one["expires_at"].startswith("2099-01-31T12:00:00")
    assert one["limits"] == {"req_per_min": 0, "tokens_per_min": 1000, "max_parallel": 0}
    assert one["budget"] == {"usd": 12.5, "window": 36 * 3600}
    page = await browser.get("/ui/clients/one")
    assert "file, changed here" in page.words and "of $12.50" in page.words
    shown = fields(page)
    assert {name: shown[name] for name in settings} == {**settings, "expires_at": "2099-01-31T12:00:00"}
    answer = await act(browser, "/ui/clients/one", do="revert")
    assert "again as the file has it" in (await browser.get(answer.location)).words
    one = await client(browser, "one")
    assert (one["changed"], one["limits"]["req_per_min"], one["expires_at"]) == (False, 100, None)


async def test_what_somebody_else_changed_meanwhile_is_not_overwritten(browser: Browser) -> None:
    page = await browser.get("/ui/clients/one")
    await call(browser.gateway, "PUT /clients/one", {"limits": {"req_per_min": 7}})
    form = {**fields(page), "csrf": page.csrf, "do": "change", "description": "Late"}
    page = await browser.post("/ui/clients/one", form)
    assert page.status == 409 and "Somebody changed this client in the meantime" in page.words
    assert fields(page)["description"] == "Late"
    one = await client(browser, "one")
    assert (one["limits"]["req_per_min"], one["description"]) == (7, "")
    answer = await browser.post("/ui/clients/one", {**fields(page), "csrf": page.csrf, "do": "change"})
    assert answer.status == 303
    one = await client(browser, "one")
    assert (one["limits"]["req_per_min"], one["description"]) == (7, "Late")


async def test_what_two_changed_to_different_values_is_marked(browser: Browser) -> None:
    page = await browser.get("/ui/clients/one")
    await call(browser.gateway, "PUT /clients/one", {"description": "Theirs", "limits": {"req_per_min": 7}})
    mine = {"description": "Mine", "limits.req_per_min": "7"}
    page = await browser.post("/ui/clients/one", {**fields(page), **mine, "csrf": page.csrf, "do": "change"})
    assert page.status == 409 and "Meanwhile it was set to: Theirs." in page.words
    assert 'id="f-limits.req_per_min-error"' not in page.text
    assert {name: fields(page)[name] for name in mine} == mine


@pytest.mark.parametrize("shown", ["", "[]", '{"description": 7}', "{"])
async def test_a_form_that_does_not_say_what_it_showed_changes_nothing(browser: Browser, shown: str) -> None:
    page = await browser.get("/ui/clients/one")
    form = {**fields(page), "shown": shown, "csrf": page.csrf, "do": "change", "description": "Late"}
    assert (await browser.post("/ui/clients/one", form)).status == 400
    assert (await client(browser, "one"))["description"] == ""


async def test_a_key_is_rotated_with_time_to_change_over(browser: Browser) -> None:
    old = browser.gateway.headers["authorization"].removeprefix("Bearer ")
    answer = await act(browser, "/ui/clients/one", do="rotate", grace="1h")
    page = await browser.get(answer.location)
    new = shown_key(page)
    assert new is not None and "the one before is valid until" in page.words
    assert [await status_of(browser.gateway, key) for key in (old, new)] == [200, 200]
    await act(browser, "/ui/clients/one", do="rotate", grace="0", new_key="sk-given-canary")
    assert [await status_of(browser.gateway, key) for key in (old, new, "sk-given-canary")] == [401, 401, 200]
    page = await act(browser, "/ui/clients/one", do="rotate", grace="a while")
    assert page.status == 400 and 'id="f-grace-error"' in page.text
    page = await act(browser, "/ui/clients/one", do="rotate", grace="0", new_key="a b")
    assert page.status == 400 and 'id="f-new_key-error"' in page.text


async def test_a_client_is_shut_out_and_let_in_again(browser: Browser) -> None:
    answer = await act(browser, "/ui/clients/one", do="revoke")
    page = await browser.get(answer.location)
    assert "expired" in page.words and (await browser.gateway.ask())[0] == 401
    await act(browser, "/ui/clients/one", do="change", expires_at="")
    assert (await browser.gateway.ask())[0] == 200


async def test_only_clients_made_here_can_be_deleted(browser: Browser) -> None:
    await act(browser, NEW, id="two")
    assert "Delete" in (await browser.get("/ui/clients/two")).words
    answer = await act(browser, "/ui/clients/two", do="delete")
    assert answer.location == "/ui/clients"
    assert await client(browser, "two") is None
    assert "Delete" not in (await browser.get("/ui/clients/one")).words
    assert (await act(browser, "/ui/clients/one", do="delete")).status == 409


async def test_without_its_token_nothing_is_done(browser: Browser) -> None:
    assert (await browser.post(NEW, {"id": "two"})).status == 403
    assert (await browser.post("/ui/clients/one", {"do": "revoke"})).status == 403
    assert await client(browser, "two") is None and (await browser.gateway.ask())[0] == 200


async def test_what_is_not_there(browser: Browser) -> None:
    assert (await browser.get("/ui/clients/none")).status == 404
    token = (await browser.get("/ui/clients")).csrf
    assert (await browser.post("/ui/clients/none", {"csrf": token, "do": "rotate"})).status == 404
    assert (await browser.post("/ui/clients/one", {"csrf": token, "do": "praise"})).status == 400
    assert (await browser.get("/ui/clients?sort=age")).status == 400


async def many(browser: Browser, count: int) -> None:
    clients = [{"id": f"c{i:03}", "key": f"sk-{i}", "description": f"Team {i % 7}"} for i in range(count)]
    browser.gateway.write(
        {**browser.gateway.config, "api_keys": [*browser.gateway.config["api_keys"], *clients]}
    )
    assert (await call(browser.gateway, "POST /reload"))[0] == 200


def listed(page: Answer) -> list[str]:
    return re.findall(r'<a href="/ui/clients/([\w.-]+)">', page.text)


async def test_many_clients_are_paged_searched_and_sorted(browser: Browser) -> None:
    await many(browser, 120)
    await browser.gateway.of("sk-77").ask()
    await browser.gateway.records(1)
    page = await browser.get("/ui/clients")
    seen = listed(page)
    assert len(seen) == 50 and "121 clients." in page.words
    while (more := re.search(r'href="([^"]+)" rel="next"', page.text)) is not None:
        page = await browser.get(unescape(more[1]))
        seen += listed(page)
    assert seen == [*(f"c{i:03}" for i in range(120)), "one"]
    assert listed(await browser.get("/ui/clients?q=TEAM+3&after=c094")) == ["c101", "c108", "c115"]
    assert listed(await browser.get("/ui/clients?q=c007")) == ["c007"]
    key = (await client(browser, "c055"))["keys"][0]["id"]
    assert listed(await browser.get(f"/ui/clients?q={key}")) == ["c055"]
    for sort in ("spend", "requests"):
        assert listed(await browser.get(f"/ui/clients?sort={sort}"))[0] == "c077"
    assert listed(await browser.get("/ui/clients?sort=fullest"))[0] == "one"
    page = await browser.get("/ui/clients?q=nobody")
    assert "No client matches." in page.words and 'value="nobody"' in page.text


async def test_the_csv_has_all_of_them_and_no_formula(browser: Browser) -> None:
    await many(browser, 600)
    for sign in "=+-@\t":
        text = f"{sign}HYPERLINK(1)"
        await call(browser.gateway, "PUT /clients/one", {"description": text})
        answer = await browser.get("/ui/clients.csv?q=one")
        row = next(csv.DictReader(io.StringIO(answer.text)))
        assert (row["id"], row["description"], row["req_per_min"]) == ("one", f"'{text}", "100")
    await browser.gateway.ask()
    await browser.gateway.records(1)
    answer = await browser.get("/ui/clients.csv?range=24h")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="coo-llm-clients.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["id"] for row in rows] == [*(f"c{i:03}" for i in range(600)), "one"]
    assert (rows[-1]["requests"], rows[-1]["cost_usd"], rows[0]["requests"]) == ("1", "0.000012", "0")


async def test_the_usage_of_a_client(browser: Browser) -> None:
    for _ in range(3):
        await browser.gateway.ask()
    await browser.gateway.records(3)
    page = await browser.get("/ui/clients/one?range=24h")
    assert "Requests 3" in page.words and "exactly $0.000036" in page.words
    assert "3 of 100 requests/min" in page.words and " m up 3 0 " in page.words


async def test_the_clients_are_there_without_the_store(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object) -> None:
        raise StoreUnavailable("it is away")

    for name in ("totals", "series"):
        monkeypatch.setattr(browser.gateway.live.store, name, lost)
    for path in ("", "?sort=spend", "/one"):
        page = await browser.get(f"/ui/clients{path}")
        assert page.status == 200 and "0 of 100 requests/min" in page.words
    await act(browser, "/ui/clients/one", do="change", description="all the same")
    assert (await client(browser, "one"))["description"] == "all the same"


@pytest.mark.parametrize(
    ("server", "words"),
    [({}, "Programs on this machine are served"), ({"allow_anonymous": True}, "Whoever reaches the gateway")],
)
async def test_without_clients_it_says_who_is_served(
    tmp_path: Path, server: dict[str, Any], words: str
) -> None:
    config = administered(server=server)
    del config["api_keys"]
    async with running(config, tmp_path) as gateway, browsing(gateway) as browser:
        await browser.log_in()
        page = await browser.get("/ui/clients")
        assert "There is no client yet." in page.words and words in page.words
        assert "CSV" not in page.words
