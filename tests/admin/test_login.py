"""Logging in, what a session may do, whom it is kept from, and how often anybody may try."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from argon2 import PasswordHasher

from gateway.audit import verify
from tests.admin.calling import administered, audited, call
from tests.daemon.running import ADMIN, ADMIN_KEY, Gateway, running

PASSWORD = "correct horse"
HASH = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD, salt=b"the same always")
RELOAD = "/admin/v1/reload"


@dataclass
class Browser:
    """Keeps one cookie."""

    gateway: Gateway
    cookie: str | None = None
    csrf: str | None = None
    set_cookie: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        sent = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if self.cookie is not None:
            sent["cookie"] = f"coo_llm_session={self.cookie}"
        url = self.gateway.url + path
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.request(method, url, json=body, headers=sent) as response,
        ):
            self.set_cookie = response.headers.get("set-cookie", "")
            return response.status, await response.json()

    async def login(self, password: str = ADMIN_KEY, id: str = "admin") -> int:
        status, body = await self.send("POST", "/admin/login", {"id": id, "password": password})
        if status == 200:
            self.cookie = self.set_cookie.partition("=")[2].partition(";")[0]
            self.csrf = body["csrf_token"]
        return status

    async def write(self, path: str = RELOAD, **headers: str) -> tuple[int, Any]:
        return await self.send("POST", path, x_csrf_token=self.csrf or "", **headers)


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with running(administered(logging=audited(tmp_path)), tmp_path) as gateway:
        yield Browser(gateway)


@pytest.mark.parametrize(
    ("webui", "id", "password", "status"),
    [
        ({}, "admin", ADMIN_KEY, 200),
        ({}, "admin", "wrong", 401),
        ({}, "root", ADMIN_KEY, 401),
        ({"admin_id": "root"}, "root", ADMIN_KEY, 200),
        ({"admin_password": PASSWORD}, "admin", PASSWORD, 200),
        ({"admin_password": PASSWORD}, "admin", ADMIN_KEY, 401),
        ({"admin_password": HASH}, "admin", PASSWORD, 200),
        ({"admin_password": HASH}, "admin", HASH, 401),
        ({"admin_password": HASH}, "admin", "wrong", 401),
        ({"admin_password": "$argon2id$damaged"}, "admin", PASSWORD, 401),
    ],
)
async def test_who_may_log_in(
    tmp_path: Path, webui: Mapping[str, str], id: str, password: str, status: int
) -> None:
    async with running(administered(server={"webui": webui}), tmp_path) as gateway:
        browser = Browser(gateway)
        assert await browser.login(password, id) == status
        assert (await browser.send("GET", "/admin/v1/config"))[0] == (200 if status == 200 else 401)


async def test_the_cookie_is_kept_from_scripts_and_other_sites(browser: Browser) -> None:
    assert await browser.login() == 200
    attributes = {part.strip() for part in browser.set_cookie.split(";")[1:]}
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= attributes
    assert "Secure" not in attributes


async def test_behind_a_trusted_proxy_with_tls_the_cookie_is_secure(tmp_path: Path) -> None:
    config = administered(server={"trusted_proxies": ["127.0.0.0/8"]})
    async with running(config, tmp_path) as gateway:
        browser = Browser(gateway, headers={"x-forwarded-proto": "https"})
        assert await browser.login() == 200
        assert "; Secure" in browser.set_cookie


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"sec_fetch_site": "same-origin"}, 200),
        ({"x_csrf_token": ""}, 403),
        ({"x_csrf_token": "0" * 64}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
async def test_which_writes_a_session_may_make(
    browser: Browser, headers: dict[str, str], status: int
) -> None:
    assert await browser.login() == 200
    got, body = await browser.send("POST", RELOAD, **{"x_csrf_token": browser.csrf or "", **headers})
    assert got == status
    if status != 200:
        assert set(body) == {"error", "details"}


async def test_a_foreign_page_reads_nothing_and_logs_nobody_in(browser: Browser) -> None:
    assert await browser.login() == 200
    assert (await browser.send("GET", "/admin/v1/config", origin="https://evil.example"))[0] == 403
    login = {"id": "admin", "password": ADMIN_KEY}
    assert (await browser.send("POST", "/admin/login", login, origin="https://evil.example"))[0] == 403
    assert (await browser.send("GET", "/admin/v1/config", origin=browser.gateway.url))[0] == 200


async def test_login_gives_a_new_session_and_ends_the_old_one(browser: Browser) -> None:
    assert await browser.login() == 200
    old = browser.cookie
    assert await browser.login() == 200
    assert browser.cookie != old
    new, browser.cookie = browser.cookie, old
    assert (await browser.send("GET", "/admin/v1/config"))[0] == 401
    browser.cookie = new
    assert (await browser.send("GET", "/admin/v1/config"))[0] == 200


async def test_logout_ends_the_session_for_good(browser: Browser) -> None:
    assert await browser.login() == 200
    assert (await browser.send("POST", "/admin/logout"))[0] == 403
    assert (await browser.write("/admin/logout"))[0] == 200
    assert (await browser.send("GET", "/admin/v1/config"))[0] == 401


async def test_another_password_ends_every_session(tmp_path: Path) -> None:
    async with running(administered(), tmp_path) as gateway:
        browser = Browser(gateway)
        assert await browser.login() == 200
        gateway.write(administered(server={"webui": {"admin_password": PASSWORD}}))
        assert (await gateway.post_reload())[0] == 200
        assert (await browser.send("GET", "/admin/v1/config"))[0] == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"id": "admin"}, 400),
        ({"id": "admin", "password": 7}, 400),
        ({"id": "admin", "password": ""}, 400),
        ({"id": "admin", "password": "x" * 2000}, 400),
        ({"id": "admin", "password": "x", "remember": True}, 400),
        ([], 400),
    ],
)
async def test_a_login_that_is_none(browser: Browser, body: object, status: int) -> None:
    assert (await browser.send("POST", "/admin/login", body))[0] == status


async def test_a_login_must_say_that_it_is_json(browser: Browser) -> None:
    async with browser.gateway.session.post(
        f"{browser.gateway.url}/admin/login", data={"id": "admin", "password": ADMIN_KEY}
    ) as response:
        assert response.status == 415


async def test_keys_and_passwords_cannot_be_guessed(tmp_path: Path) -> None:
    async with running(administered(server={"admin_rate_limit": 5}), tmp_path) as gateway:
        browser = Browser(gateway)
        assert await browser.login() == 200  # which does not count
        for _ in range(2):
            assert await browser.login("wrong") == 401
        for _ in range(3):
            assert (await call(gateway, "GET /config", headers={"x-api-key": "guess"}))[0] == 401
        async with gateway.session.get(f"{gateway.url}/admin/v1/config", headers=ADMIN) as response:
            assert response.status == 429
            assert 50 < int(response.headers["retry-after"]) <= 61
        assert await browser.login() == 429
        assert (await browser.send("GET", "/admin/v1/config"))[0] == 200  # a session is no guess


async def test_logins_beyond_those_that_can_be_checked_soon_are_refused_and_count_for_nothing(
    tmp_path: Path,
) -> None:
    slow = PasswordHasher(time_cost=40, memory_cost=8192, parallelism=1).hash(PASSWORD)
    config = administered(server={"webui": {"admin_password": slow}})
    async with running(config, tmp_path) as gateway:
        browser = Browser(gateway)
        statuses = await asyncio.gather(*(Browser(gateway).login("wrong") for _ in range(9)))
        assert set(statuses) == {401, 429}
        assert statuses.count(429) >= 3
        again = await asyncio.gather(*(Browser(gateway).login("wrong") for _ in range(3)))
        assert 401 in again  # the refused ones were no failures of the account
        assert await browser.login(PASSWORD) == 200


async def test_calls_are_counted_by_the_address_that_a_trusted_proxy_names(tmp_path: Path) -> None:
    config = administered(server={"admin_rate_limit": 1, "trusted_proxies": ["127.0.0.1"]})
    async with running(config, tmp_path) as gateway:
        for address, status in (("192.0.2.1", 200), ("192.0.2.2", 200), ("192.0.2.1", 429)):
            headers = {**ADMIN, "x-forwarded-for": address}
            assert (await call(gateway, "GET /config", headers=headers))[0] == status


async def test_zero_is_no_limit(tmp_path: Path) -> None:
    async with running(administered(server={"admin_rate_limit": 0}), tmp_path) as gateway:
        statuses = await asyncio.gather(*(call(gateway, "GET /config", headers={}) for _ in range(150)))
        assert {status for status, _ in statuses} == {401}


async def test_every_call_is_in_the_audit_log(browser: Browser, tmp_path: Path) -> None:
    gateway = browser.gateway
    assert await browser.login("wrong-canary-password") == 401
    assert await browser.login() == 200
    assert (await browser.write("/admin/v1/providers/up/keys/first/disable"))[0] == 200
    assert (await call(gateway, "GET /nothing"))[0] == 404
    assert (await call(gateway, "GET /config", headers={"x-api-key": "wrong-canary-key"}))[0] == 401
    text = (tmp_path / "audit.log").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(line["method"], line["route"].removeprefix("/admin"), line["status"]) for line in lines] == [
        ("POST", "/login", 401),
        ("POST", "/login", 200),
        ("POST", "/v1/providers/{id}/keys/{key}/disable", 200),
        ("GET", "unknown", 404),
        ("GET", "/v1/config", 401),
    ]
    assert lines[2]["target"] == {"id": "up", "key": "first"}
    assert lines[2]["changes"] == ["up/first: disabled"]
    callers = [line["caller"] for line in lines]
    assert callers[0] is None and callers[4] is None
    assert callers[1] == callers[2] and callers[1].startswith("session:")
    assert callers[3].startswith("key:")
    assert {line["address"] for line in lines} == {"127.0.0.1"}
    for secret in ("canary", ADMIN_KEY, browser.cookie, browser.csrf):
        assert secret is not None and secret not in text
    assert verify(str(tmp_path / "audit.log")).fault is None
    status, page = await call(gateway, "GET /audit", limit=2)
    assert status == 200
    assert page["entries"] == [lines[4], lines[3]]
    status, page = await call(gateway, "GET /audit", limit=1000, before=page["next"])
    assert page["entries"] == [lines[2], lines[1], lines[0]]
    assert page["next"] is None
