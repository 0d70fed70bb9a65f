"""The playground's page: chats go the way of the client that is chosen, nobody else's; nothing is kept."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.admin.browsing import Answer, Browser, browsing
from tests.admin.calling import ECHO, administered, audited
from tests.daemon.running import ADMIN, events_of, running, text_of

PROMPT = "A prompt that only the echo knows"
CHAT = {"model": "m", "messages": [{"role": "user", "content": PROMPT}]}
CLIENTS = [
    {"id": "one", "key": "sk-client-1"},
    {"id": "limited", "key": "sk-client-2", "limits": {"req_per_min": 1}},
    {"id": "poor", "key": "sk-client-3", "budget": {"usd": 0.000001}},
    {"id": "narrow", "key": "sk-client-4", "allowed_models": ["other"]},
    {"id": "expired", "key": "sk-client-5", "expires_at": "2020-01-01T00:00:00Z"},
]


def config(folder: Path, **sections: Any) -> dict[str, Any]:
    return {**administered(ECHO, logging=audited(folder), **sections), "api_keys": CLIENTS}


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    made = config(tmp_path, policy={"cache": {"enabled": True, "shared": True}})
    async with running(made, tmp_path) as gateway, browsing(gateway) as browser:
        await browser.log_in()
        yield browser


async def ask(browser: Browser, client: str = "one", message: str = PROMPT, **fields: str) -> Answer:
    """Send the form."""
    page = await browser.get("/ui/playground")
    form = {"csrf": page.csrf, "client": client, "model": "m", "message": message, **fields}
    return await browser.post("/ui/playground", form)


async def stream(
    browser: Browser, client: str = "one", headers: Mapping[str, str] | None = None, **more: Any
) -> tuple[int, Mapping[str, str], bytes]:
    """What the script sends, and status, headers and body of what it gets."""
    if headers is None:
        headers = {"x-csrf-token": (await browser.get("/ui/playground")).csrf}
    async with browser.session.post(
        f"{browser.gateway.url}/ui/playground/chat",
        params={"client": client},
        json={**CHAT, "stream": True, "stream_options": {"include_usage": True}, **more},
        headers=headers,
        allow_redirects=False,
    ) as response:
        return response.status, response.headers, await response.read()


def audit(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "audit.log").read_text().splitlines()]
    return [line for line in lines if str(line["route"]).startswith("/ui/playground")]


async def test_an_answer_streams_as_to_the_client_and_is_on_its_record(
    browser: Browser, tmp_path: Path
) -> None:
    status, headers, body = await stream(browser)
    assert status == 200
    events = events_of(body)
    assert text_of(events) == PROMPT and events[-1] == "[DONE]"
    assert events[-2]["usage"]["cost"] > 0
    assert headers["x-coo-provider"] == "up" and headers["x-coo-cache"] == "off"
    (record,) = await browser.gateway.records(1)
    assert (record.client, record.status, record.stream) == ("one", 200, True)
    assert record.request_id == headers["x-request-id"]
    assert record.cost_nano_usd == round(events[-2]["usage"]["cost"] * 10**9)
    (line,) = audit(tmp_path)
    assert line["caller"].startswith("session:")
    assert (line["target"], line["status"]) == ({"client": "one"}, 200)
    assert line["request_id"] == record.request_id


async def test_a_form_shows_the_whole_answer_without_a_script(browser: Browser, tmp_path: Path) -> None:
    answer = await ask(browser, system="Be brief", temperature="0.5", max_tokens="50")
    assert answer.status == 200
    for words in (f"You, as one {PROMPT}", "Tokens in", "Cost $0.", "x-coo-provider up", "x-coo-cost"):
        assert words in answer.words
    assert 'value="0.5"' in answer.text
    (record,) = await browser.gateway.records(1)
    assert (record.client, record.status, record.stream, record.cache) == ("one", 200, False, "off")
    assert audit(tmp_path)[-1]["target"] == {"client": "one"}


async def test_the_limits_of_the_client_hold(browser: Browser, tmp_path: Path) -> None:
    assert (await stream(browser, "limited"))[0] == 200
    status, headers, body = await stream(browser, "limited")
    assert (status, headers["x-ratelimit-limit-requests"]) == (429, "1")
    assert json.loads(body)["error"]["code"] == "rate_limit_exceeded"
    answer = await ask(browser, "limited")
    assert answer.status == 429
    assert "429 rate_limit_exceeded:" in answer.words
    assert f">{PROMPT}</textarea>" in answer.text.replace("\n", "")
    assert [line["status"] for line in audit(tmp_path)] == [200, 429, 429]
    async with browser.gateway.of("sk-client-2").chat() as response:  # they are its own, whoever asks
        assert response.status == 429


async def test_the_budget_of_the_client_holds(browser: Browser) -> None:
    assert (await stream(browser, "poor"))[0] == 200
    status, _, body = await stream(browser, "poor")
    assert (status, json.loads(body)["error"]["code"]) == (429, "insufficient_quota")


@pytest.mark.parametrize(
    ("client", "model", "status", "code"),
    [
        ("narrow", "m", 403, "model_not_allowed"),
        ("one", "nothing", 404, "model_not_found"),
    ],
)
async def test_what_the_client_may_not_do_is_refused_and_on_record(
    browser: Browser, client: str, model: str, status: int, code: str
) -> None:
    found, _, body = await stream(browser, client, model=model)
    assert (found, json.loads(body)["error"]["code"]) == (status, code)
    (record,) = await browser.gateway.records(1)
    assert (record.client, record.status, record.error) == (client, status, code)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"temperature": "hot"}, "400 invalid_type:"),
        ({"temperature": "9"}, "must be between 0 and 2"),
        ({"max_tokens": "0"}, "must be between 1 and"),
        ({"message": ""}, "400 "),
        ({"model": ""}, "400 "),
        ({"client": "nobody"}, "There is no client 'nobody'."),
        ({"client": "expired"}, "The client 'expired' has expired."),
        ({"client": "anonymous"}, "There is no client 'anonymous'."),
    ],
)
async def test_what_cannot_be_asked_is_said_in_place(
    browser: Browser, fields: dict[str, str], words: str
) -> None:
    answer = await ask(browser, **fields)
    assert 400 <= answer.status < 500
    assert words in answer.words
    assert 'action="/ui/playground"' in answer.text


@pytest.mark.parametrize(
    ("client", "status"), [("nobody", 404), ("expired", 409), ("anonymous", 404), ("", 404)]
)
async def test_nobody_else_can_be_asked_for(
    browser: Browser, tmp_path: Path, client: str, status: int
) -> None:
    found, _, body = await stream(browser, client)
    assert found == status and "error" in json.loads(body)
    assert audit(tmp_path)[-1]["target"] == {"client": client}


async def test_no_outsider_can_take_this_way(browser: Browser) -> None:
    page = await browser.get("/ui/playground")
    token = {"x-csrf-token": page.csrf}
    assert (await stream(browser, headers={}))[0] == 403
    assert (await stream(browser, headers={**token, "origin": "https://evil.example"}))[0] == 403
    assert (await browser.post("/ui/playground", {"client": "one", "message": "x"})).status == 403
    browser.session.cookie_jar.clear()
    for headers in (token, {**token, **ADMIN}, {**token, "authorization": "Bearer sk-client-1"}):
        assert (await stream(browser, headers=headers))[0] == 303
    async with browser.gateway.of("sk-client-4").session.post(
        f"{browser.gateway.url}/v1/chat/completions?client=one",
        json=CHAT,
        headers={"authorization": "Bearer sk-client-4", "x-coo-client": "one"},
    ) as response:
        assert response.status == 403  # as the client whose key it is
    assert {record.client for record in await browser.gateway.records(1)} == {"narrow"}


async def test_nothing_of_it_is_kept(
    browser: Browser, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    await stream(browser)
    answer = await ask(browser)
    assert answer.headers["cache-control"] == "no-store"
    await browser.gateway.records(2)
    assert PROMPT not in (tmp_path / "audit.log").read_text()
    assert PROMPT not in "".join(capfd.readouterr())
    assert PROMPT not in (await browser.get("/ui/playground")).text
    async with browser.gateway.chat(**CHAT) as response:  # nor in the cache
        assert response.headers["x-coo-cache"] == "miss"


async def test_what_is_offered(browser: Browser) -> None:
    answer = await browser.get("/ui/playground")
    offered = re.findall(r'<option value="([^"]+)">', answer.text)
    assert offered == ["one", "limited", "poor", "narrow", "m", "up:m"]
    answer = await browser.get("/ui/playground?client=poor&model=up:m")
    assert 'value="poor"' in answer.text and 'value="up:m"' in answer.text


async def test_as_a_program(browser: Browser) -> None:
    answer = await ask(browser, message='It\'s "me" & <b>')
    programs = answer.words.partition("As a program")[2]
    assert f"curl -N {browser.gateway.url}/v1/chat/completions" in programs
    assert "Bearer $COO_LLM_KEY" in programs and 'os.environ["COO_LLM_KEY"]' in programs
    assert r"""It'\''s \"me\" & <b>""" in programs
    assert "sk-client" not in answer.text


async def test_without_any_client_it_is_asked_as_anonymous(tmp_path: Path) -> None:
    made = config(tmp_path)
    del made["api_keys"]
    async with running(made, tmp_path) as gateway, browsing(gateway) as browser:
        await browser.log_in()
        assert (await ask(browser, "anonymous")).status == 200
        (record,) = await gateway.records(1)
        assert record.client == "anonymous"


async def test_without_a_client_that_is_served_it_says_what_to_do(tmp_path: Path) -> None:
    made = {**config(tmp_path), "api_keys": CLIENTS[-1:]}
    async with running(made, tmp_path) as gateway, browsing(gateway) as browser:
        await browser.log_in()
        answer = await browser.get("/ui/playground")
        assert "There is no client that could ask." in answer.words


async def test_who_leaves_ends_the_call(tmp_path: Path) -> None:
    made = {**config(tmp_path), "llm_providers": [{**ECHO, "token_ms": 50}]}
    async with running(made, tmp_path) as gateway, browsing(gateway) as browser:
        await browser.log_in()
        token = (await browser.get("/ui/playground")).csrf
        body = {**CHAT, "stream": True, "messages": [{"role": "user", "content": "word " * 1000}]}
        response = await browser.session.post(
            f"{gateway.url}/ui/playground/chat?client=one", json=body, headers={"x-csrf-token": token}
        )
        await response.content.readany()
        response.close()
        (record,) = await gateway.records(1)
        assert (record.client, record.error, record.partial) == ("one", "client_closed_request", True)
        assert record.output_tokens < 1000
