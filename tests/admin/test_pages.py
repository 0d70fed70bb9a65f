"""The dashboard's border: who gets in, what forms must bring, what is sent along, and what is not there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from gateway.api import StoreUnavailable
from gateway.audit import verify
from tests.admin.browsing import Browser, browsing
from tests.admin.calling import administered, audited, call
from tests.daemon.running import ADMIN_KEY, configured, running

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with (
        running(administered(logging=audited(tmp_path)), tmp_path) as gateway,
        browsing(gateway) as browser,
    ):
        yield browser


async def test_a_visitor_logs_in_and_gets_where_they_wanted_to(browser: Browser) -> None:
    answer = await browser.get("/ui/?range=24h")
    assert (answer.status, answer.location) == (303, "/ui/login?next=/ui/%3Frange%3D24h")
    answer = await browser.get(answer.location)
    assert answer.status == 200 and 'value="/ui/?range=24h"' in answer.text
    answer = await browser.log_in(next="/ui/?range=24h")
    assert (answer.status, answer.location) == (303, "/ui/?range=24h")
    attributes = {part.strip() for part in answer.cookies["coo_llm_session"].split(";")[1:]}
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= attributes and "Secure" not in attributes
    answer = await browser.get(answer.location)
    assert answer.status == 200 and "<h1>Overview</h1>" in answer.text
    assert (await browser.get("/ui/login")).location == "/ui/"


@pytest.mark.parametrize(
    "next",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/ui/\r\nset-cookie: x=y",
        "/ui",
        "/admin/v1/config",
        "/ui/login?next=/ui/",
        "/ui/é",
    ],
)
async def test_a_login_leads_nowhere_else(browser: Browser, next: str) -> None:
    assert (await browser.log_in(next=next)).location == "/ui/"


async def test_a_wrong_password_is_said_in_the_form(browser: Browser) -> None:
    answer = await browser.log_in("wrong", next="/ui/?range=7d")
    assert answer.status == 401
    assert "The id or the password is wrong." in answer.text
    assert 'value="/ui/?range=7d"' in answer.text
    assert answer.cookies == {}


async def test_logging_out_ends_the_session(browser: Browser) -> None:
    await browser.log_in()
    page = await browser.get("/ui/")
    assert (await browser.post("/ui/logout")).status == 403
    assert (await browser.post("/ui/logout", {"csrf": page.csrf})).location == "/ui/login"
    assert (await browser.get("/ui/")).status == 303


async def test_a_form_of_a_session_that_has_ended_is_not_done_and_leads_back(browser: Browser) -> None:
    page = f"{browser.gateway.url}/ui/config?search=policy"
    answer = await browser.post("/ui/config/reload", {"csrf": "0" * 64}, referer=page)
    assert answer.location == "/ui/login?undone=1&next=/ui/config%3Fsearch%3Dpolicy"
    answer = await browser.get(answer.location)
    assert "nothing was done" in answer.words and 'value="/ui/config?search=policy"' in answer.text
    for foreign in ("https://evil.example//evil.example/", "http://[", ""):
        answer = await browser.post("/ui/config/reload", referer=foreign)
        assert 'name="next" value="/ui/"' in (await browser.get(answer.location)).text


async def test_the_token_of_the_session_is_told_to_who_is_in_it(browser: Browser) -> None:
    assert (await browser.get("/ui/session")).status == 303
    await browser.log_in()
    csrf = json.loads((await browser.get("/ui/session")).text)["csrf_token"]
    assert csrf == (await browser.get("/ui/")).csrf


async def test_a_session_begins_anew_with_each_login(browser: Browser) -> None:
    old = (await browser.log_in()).cookies["coo_llm_session"].partition(";")[0]
    new = (await browser.log_in()).cookies["coo_llm_session"].partition(";")[0]
    assert old != new
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        for cookie, status in ((old, 303), (new, 200)):
            url = f"{browser.gateway.url}/ui/"
            async with session.get(url, headers={"cookie": cookie}, allow_redirects=False) as response:
                assert response.status == status


async def test_behind_a_trusted_proxy_with_tls_the_cookie_is_secure(tmp_path: Path) -> None:
    config = administered(server={"trusted_proxies": ["127.0.0.0/8"]})
    async with running(config, tmp_path) as gateway, browsing(gateway) as browser:
        form = {"id": "admin", "password": ADMIN_KEY}
        answer = await browser.post("/ui/login", form, x_forwarded_proto="https")
        assert "; Secure" in answer.cookies["coo_llm_session"]


@pytest.mark.parametrize("path", ["/ui/", "/ui/login", "/ui/nothing"])
async def test_every_page_keeps_the_browser_strict(browser: Browser, path: str) -> None:
    for inside in (False, True):
        if inside:
            await browser.log_in()
        answer = await browser.get(path)
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
        assert "server" not in answer.headers
        assert " style=" not in answer.text and "<style" not in answer.text
        assert answer.text.count("<script") == answer.text.count("<script src=")


@pytest.mark.parametrize(
    ("form", "headers", "status"),
    [
        ({}, {}, 403),
        ({"csrf": "0" * 64}, {}, 403),
        ({"csrf": "TOKEN"}, {}, 303),
        ({}, {"x_csrf_token": "TOKEN"}, 303),
        ({"csrf": "TOKEN"}, {"origin": "https://evil.example"}, 403),
        ({"csrf": "TOKEN"}, {"origin": "null"}, 403),
        ({"csrf": "TOKEN"}, {"sec_fetch_site": "cross-site"}, 403),
        ({"csrf": "TOKEN"}, {"sec_fetch_site": "same-origin"}, 303),
        ({"csrf": "TOKEN"}, {"content_type": "text/plain"}, 403),
    ],
)
async def test_which_writes_are_taken(
    browser: Browser, form: dict[str, str], headers: dict[str, str], status: int
) -> None:
    await browser.log_in()
    token = (await browser.get("/ui/")).csrf
    form = {name: token if value == "TOKEN" else value for name, value in form.items()}
    headers = {name: token if value == "TOKEN" else value for name, value in headers.items()}
    answer = await browser.post("/ui/logout", form, **headers)
    assert answer.status == status
    if status == 403:
        assert "<h1>That did not work</h1>" in answer.text


async def test_a_foreign_page_logs_nobody_in(browser: Browser) -> None:
    form = {"id": "admin", "password": ADMIN_KEY}
    assert (await browser.post("/ui/login", form, origin="https://evil.example")).status == 403
    assert (await browser.post("/ui/login", form, sec_fetch_site="cross-site")).status == 403


async def test_passwords_cannot_be_guessed_whatever_address_is_claimed(tmp_path: Path) -> None:
    config = administered(server={"trusted_proxies": ["127.0.0.1"]}, logging=audited(tmp_path))
    async with running(config, tmp_path) as gateway, browsing(gateway) as browser:
        form = {"id": "admin", "password": "wrong"}
        statuses = [
            (await browser.post("/ui/login", form, x_forwarded_for=f"192.0.2.{i}")).status for i in range(30)
        ]
        assert statuses == [401] * 10 + [429] * 20
        answer = await browser.post(
            "/ui/login", {**form, "password": ADMIN_KEY}, x_forwarded_for="192.0.2.99"
        )
        assert answer.status == 429 and int(answer.headers["retry-after"]) <= 61
        assert "try again in" in answer.text
        lines = (tmp_path / "audit.log").read_text().splitlines()
        assert len(lines) == 10  # 429 does not fill it
        assert (await call(gateway, "GET /health"))[0] == 200  # the key is no password


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:1", 303),
        ("[::1]:1", 303),
        ("192.0.2.7", 303),
        ("localhost:1", 303),
        ("LOCALHOST.", 303),
        ("printer.local", 303),
        ("gateway.example:1", 303),
        ("gw.internal", 303),
        ("evil", 421),
        ("evil.example", 421),
        ("gateway.example.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
    ],
)
async def test_under_which_names_it_is_served(tmp_path: Path, host: str, status: int) -> None:
    config = administered(server={"webui": {"hosts": ["Gateway.example"]}})
    async with running(config, tmp_path) as gateway, browsing(gateway) as browser:
        assert (await browser.get("/ui/", host=host)).status == status
        headers = {"authorization": f"Bearer {ADMIN_KEY}", "host": host}
        assert (await call(gateway, "GET /config", headers=headers))[0] == 200  # a key is no cookie


async def test_a_trusted_proxy_knows_its_names(tmp_path: Path) -> None:
    config = administered(server={"trusted_proxies": ["127.0.0.1"]})
    async with running(config, tmp_path) as gateway, browsing(gateway) as browser:
        assert (await browser.get("/ui/", host="llm.example")).status == 303


async def test_writes_are_audited_as_calls_of_the_api_are(browser: Browser, tmp_path: Path) -> None:
    await browser.log_in("wrong")
    await browser.log_in()
    page = await browser.get("/ui/")
    await browser.post("/ui/nothing", {"csrf": page.csrf})
    await browser.post("/ui/logout", {"csrf": page.csrf})
    lines = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    assert [(line["route"], line["status"]) for line in lines] == [
        ("/ui/login", 401),
        ("/ui/login", 303),
        ("unknown", 404),
        ("/ui/logout", 303),
    ]
    assert lines[0]["caller"] is None
    assert len({line["caller"] for line in lines[1:]}) == 1 and lines[1]["caller"].startswith("session:")
    assert verify(str(tmp_path / "audit.log")).fault is None


@pytest.mark.parametrize("server", [{"admin_api_key": None}, {"webui": {"enabled": False}}])
async def test_switched_off_it_is_not_there(tmp_path: Path, server: dict[str, object]) -> None:
    async with running(administered(server=server), tmp_path) as gateway, browsing(gateway) as browser:
        for path in ("/ui", "/ui/", "/ui/login", "/ui/nothing"):
            answer = await browser.get(path)
            assert answer.status == 404
            assert json.loads(answer.text)["error"]["code"] == "unknown_url"


async def test_a_reload_switches_it_on_and_off(tmp_path: Path) -> None:
    config = administered()
    async with running(config, tmp_path) as gateway, browsing(gateway) as browser:
        assert (await browser.get("/ui/")).status == 303
        gateway.write(administered(server={"webui": {"enabled": False}}))
        await gateway.post_reload()
        assert (await browser.get("/ui/")).status == 404


async def test_it_is_served_on_the_admin_listener_only(tmp_path: Path) -> None:
    config = configured({"id": "up", "type": "echo", "model": "m"})
    config["server"] = {"admin_api_key": ADMIN_KEY, "admin_listen": f"unix:{tmp_path}/admin.sock"}
    async with running(config, tmp_path) as gateway, browsing(gateway) as browser:
        assert (await browser.get("/ui/login")).status == 404
        connector = aiohttp.UnixConnector(f"{tmp_path}/admin.sock")
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get("http://gateway.example/ui/login") as response,
        ):
            assert response.status == 200


async def test_errors_are_pages(browser: Browser) -> None:
    await browser.log_in()
    answer = await browser.get("/ui/nothing")
    assert answer.status == 404 and "There is no such page." in answer.text
    answer = await browser.get("/ui/?range=<img src=x onerror=alert(1)>")
    assert answer.status == 400 and "range: must be one of" in answer.words and "<img" not in answer.text
    answer = await browser.send("PUT", "/ui/", headers={"x-csrf-token": (await browser.get("/ui/")).csrf})
    assert answer.status == 405 and "GET" in answer.headers["allow"]


async def test_a_flash_is_shown_once_and_only_if_it_is_ours(browser: Browser) -> None:
    await browser.log_in()
    browser.session.cookie_jar.update_cookies({"coo_llm_flash": "WyJkb25lIiwiSGVsbG8iXQ==.forged"})
    answer = await browser.get("/ui/")
    assert answer.status == 200 and 'class="flash' not in answer.text
    assert "Max-Age=0" in answer.cookies["coo_llm_flash"]


async def test_a_live_page_sends_its_parts_until_the_session_ends(browser: Browser) -> None:
    url, events = f"{browser.gateway.url}/ui/", {"accept": "text/event-stream"}
    assert (await browser.get("/ui/", **events)).status == 401
    await browser.log_in()
    token = (await browser.get("/ui/")).csrf
    async with browser.session.get(url, headers=events) as response:
        assert response.status == 200 and response.content_type == "text/event-stream"
        assert response.headers["cache-control"] == "no-store"
        head, _, data = (await response.content.readuntil(b"\n\n")).strip().partition(b"\n")
        parts = json.loads(data.removeprefix(b"data: "))
        assert head == b"event: parts"
        assert any('id="tiles"' in part for part in parts)
        await browser.post("/ui/logout", {"csrf": token})
        async with asyncio.timeout(10):
            await response.read()


async def test_live_pages_are_few(browser: Browser) -> None:
    await browser.log_in()
    state = browser.gateway.daemon.live
    assert state is not None
    url, events = f"{browser.gateway.url}/ui/", {"accept": "text/event-stream"}
    streams = [await browser.session.get(url, headers=events) for _ in range(16)]
    assert {stream.status for stream in streams} == {200}
    answer = await browser.get("/ui/", **events)
    assert answer.status == 503 and answer.headers["retry-after"] == "10"
    for stream in streams:
        stream.close()


async def test_hostile_bytes_and_names_are_text(browser: Browser) -> None:
    await browser.log_in()
    for hostile in (
        "%ff%fe",
        "%ed%a0%80",
        "x" * 5000,
        "%E2%80%AEgnp",
        "%3Cimg%20src=x%20onerror=alert(1)%3E",
    ):
        answer = await browser.get(f"/ui/?range={hostile}")
        assert answer.status in (400, 404) and "<img" not in answer.text
        assert len(answer.text) < 10_000


async def test_the_overview_is_there_without_the_store(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object) -> None:
        raise StoreUnavailable("it is away")

    await browser.log_in()
    assert "All is well" in (await browser.get("/ui/")).words
    monkeypatch.setattr(type(browser.gateway.live.store), "series", lost)
    answer = await browser.get("/ui/")
    assert answer.status == 200
    assert "The store does not answer in time" in answer.words
    assert "There are no figures at the moment." in answer.words
