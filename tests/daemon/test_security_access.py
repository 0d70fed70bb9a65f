"""Who is let in where: every route and every kind of key, anonymous requests, metrics, other origins."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import scrape
from gateway.app import make_app
from gateway.registry import Registry
from gateway.reload import Reloader
from gateway.request import authenticate
from tests.daemon.raw import Fields, exchange, message
from tests.daemon.running import KEY, Gateway, configured, running, until
from tests.fakes.daemon import Daemon

ADMIN = "admin-key-of-the-tests-0123"
ECHO = {"id": "up", "type": "echo", "model": "m"}
OPEN = {"/health", "/livez", "/readyz", "/metrics", "/admin/login"}
ENDLESS = "/admin/v1/requests/stream"


def bearer(key: str) -> Fields:
    return [("Authorization", f"Bearer {key}")]


KEYS: dict[str, Fields] = {
    "none": [],
    "client": bearer(KEY),
    "wrong": bearer("sk-wrong"),
    "two": [*bearer(KEY), ("x-api-key", ADMIN)],
    "admin": bearer(ADMIN),
}
OPEN_PAGES = {"/ui/login", "/ui/static/m/m"}
"""All other pages open with a session, which no key is."""

OPENS = {"/v1": {"client"}, "/admin": {"admin"}}
"""Which key lets into what; a route below neither must be one of the `OPEN` ones."""


def config(**server: Any) -> dict[str, Any]:
    return configured(ECHO, server={"admin_api_key": ADMIN, **server})


def routes(gateway: Gateway) -> Iterator[tuple[str, str]]:
    """Method and path of everything that is served."""
    app = make_app(gateway.live, Reloader(gateway.live.managed.load, gateway.live, Registry.discover()))
    for route in app.router.routes():
        assert route.resource is not None
        yield route.method, re.sub(r"\{\w+\}", "m", route.resource.canonical)


async def test_every_route_with_every_kind_of_key(tmp_path: Path) -> None:
    async with running(config(admin_rate_limit=0), tmp_path) as gateway:
        served = [(method, path) for method, path in routes(gateway) if not path.startswith("/ui")]
        assert len(served) > 20
        for method, path in served:
            plain = path.removeprefix("/api")
            area = next((area for area in OPENS if plain.startswith(f"{area}/")), None)
            assert area is not None or plain in OPEN, f"{path}: who may use it?"
            allowed = set(KEYS) if area is None or plain in OPEN else OPENS[area]
            for name, headers in KEYS.items():
                if plain == ENDLESS and name in allowed:
                    continue
                got = await exchange(gateway.port, message(f"{method} {path}", headers), to=method)
                assert (got.status not in (401, 403)) == (name in allowed), f"{method} {path} {name} {got}"
                assert got.status < 500
                assert got.headers["x-request-id"]
                assert "aiohttp" not in str(got.headers)
                if name not in allowed:
                    assert got.headers["www-authenticate"] == "Bearer"


async def test_no_key_opens_a_page(tmp_path: Path) -> None:
    async with running(config(admin_rate_limit=0), tmp_path) as gateway:
        pages = [(method, path) for method, path in routes(gateway) if path.startswith("/ui")]
        assert len(pages) >= 6
        for method, path in pages:
            for headers in KEYS.values():
                got = await exchange(gateway.port, message(f"{method} {path}", headers), to=method)
                if path in OPEN_PAGES:
                    assert got.status in (200, 404, 415)
                else:
                    assert got.status == 303
                    assert got.headers["location"].partition("?")[0] == "/ui/login"


@pytest.mark.parametrize("path", ["/admin/v1/none", "/admin/", "/admin/v1/config/x"])
async def test_what_the_admin_api_has_is_not_told_without_its_key(tmp_path: Path, path: str) -> None:
    async with running(config(), tmp_path) as gateway:
        assert (await exchange(gateway.port, message(f"GET {path}"))).status == 401
        assert (await exchange(gateway.port, message(f"GET {path}", bearer(ADMIN)))).status == 404


async def test_without_an_admin_key_there_is_no_admin_api(tmp_path: Path) -> None:
    async with running(configured(ECHO, server={"admin_api_key": None}), tmp_path) as gateway:
        for key in ("", KEY, "None"):
            got = await exchange(gateway.port, message("GET /admin/v1/config", bearer(key)))
            assert got.status == 404


METRICS = "GET /metrics"


@pytest.mark.parametrize(
    ("loopback", "public", "headers", "status"),
    [
        (True, False, [], 200),
        (True, False, [("X-Forwarded-For", "203.0.113.7")], 403),
        (True, False, [("X-Forwarded-For", "203.0.113.7"), *bearer(ADMIN)], 200),
        (False, False, [], 403),
        (False, False, bearer(KEY), 403),
        (False, False, [*bearer(KEY), ("x-api-key", ADMIN)], 403),
        (False, False, bearer(ADMIN), 200),
        (False, True, [], 200),
    ],
)
async def test_who_may_scrape(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    loopback: bool,
    public: bool,
    headers: Fields,
    status: int,
) -> None:
    monkeypatch.setattr(scrape, "is_loopback_peer", lambda request: loopback)
    files: dict[str, Any] = {"file": {"enabled": False}, "audit": {"enabled": False}}
    logging = {**files, "prometheus": {"public": public}}
    async with running({**config(), "logging": logging}, tmp_path) as gateway:
        got = await exchange(gateway.port, message(METRICS, headers))
        assert got.status == status
        assert (b"coo_llm_build_info" in got.body) == (status == 200)


async def test_the_admin_listener_has_admin_api_and_metrics_to_itself(tmp_path: Path) -> None:
    socket = str(tmp_path / "admin.sock")
    async with Daemon(config(admin_listen=f"unix:{socket}"), tmp_path) as daemon:
        for path in ("/metrics", "/admin/v1/config"):
            request = message(f"GET {path}", bearer(ADMIN))
            assert (await exchange(daemon.port, request)).status == 404
            assert (await exchange(socket, request)).status == 200


async def test_anonymous_requests_over_tcp_and_a_unix_socket(tmp_path: Path) -> None:
    socket = str(tmp_path / "admin.sock")
    bare = {**config(admin_listen=f"unix:{socket}"), "api_keys": []}
    async with Daemon(bare, tmp_path) as daemon:
        await until(lambda: "anonymous access is on" in daemon.stderr)
        for where in (daemon.port, socket):
            for headers in ([], bearer("any")):
                assert (await exchange(where, message("GET /v1/models", headers))).status == 200
            for headers in ([("X-Forwarded-Port", "443")], [("Origin", "https://evil.example")]):
                got = await exchange(where, message("GET /v1/models", headers))
                assert got.status == 401 and "api_keys" in got.error["message"]
            got = await exchange(where, message("GET /v1/models", host="evil.example"))
            assert got.status == 401


async def test_from_elsewhere_only_allow_anonymous_lets_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authenticate, "is_loopback_peer", lambda request: False)
    for allowed, status in ((False, 401), (True, 200)):
        bare = {**config(allow_anonymous=allowed), "api_keys": []}
        async with running(bare, tmp_path) as gateway:
            assert (await exchange(gateway.port, message("GET /v1/models"))).status == status


async def test_removing_the_last_client_does_not_open_the_door(tmp_path: Path) -> None:
    async with Daemon(config(), tmp_path) as daemon:
        assert (await exchange(daemon.port, message("GET /v1/models", bearer(KEY)))).status == 200
        daemon.reload({**config(), "api_keys": []})
        removed = message("GET /v1/models", bearer(KEY))
        async with asyncio.timeout(10):
            while (await exchange(daemon.port, removed)).status == 200:
                pass
        assert (await exchange(daemon.port, removed)).status == 401
        assert (await exchange(daemon.port, message("GET /v1/models"))).status == 401


PREFLIGHT: Fields = [
    ("Access-Control-Request-Method", "POST"),
    ("Access-Control-Request-Headers", "x-api-key"),
]
EVIL, GOOD = "https://evil.example", "https://app.example"


@pytest.mark.parametrize(
    ("cors", "origin", "allowed", "credentials"),
    [
        (None, GOOD, None, False),
        ({"enabled": True}, EVIL, "*", False),
        ({"enabled": True, "allow_credentials": True}, EVIL, "*", False),
        ({"enabled": True, "allowed_origins": [GOOD]}, GOOD, GOOD, False),
        ({"enabled": True, "allowed_origins": [GOOD]}, EVIL, None, False),
        ({"enabled": True, "allowed_origins": [GOOD], "allow_credentials": True}, GOOD, GOOD, True),
        ({"enabled": True, "allowed_origins": [GOOD], "allow_credentials": True}, EVIL, None, False),
        ({"enabled": True, "allowed_origins": [GOOD]}, GOOD + ".evil.example", None, False),
        ({"enabled": True, "allowed_origins": [GOOD]}, "null", None, False),
    ],
)
async def test_other_origins(
    tmp_path: Path, cors: dict[str, Any] | None, origin: str, allowed: str | None, credentials: bool
) -> None:
    async with running(config() if cors is None else config(cors=cors), tmp_path) as gateway:
        for line, headers in (
            ("OPTIONS /v1/chat/completions", PREFLIGHT),
            ("GET /v1/models", bearer(KEY)),
            ("GET /v1/models", []),
            ("GET /health", []),
        ):
            got = await exchange(gateway.port, message(line, [*headers, ("Origin", origin)]))
            assert got.headers.get("access-control-allow-origin") == allowed
            assert ("access-control-allow-credentials" in got.headers) == credentials
            if allowed not in (None, "*"):
                assert "origin" in got.headers["vary"].lower()
            if line.startswith("OPTIONS"):
                assert got.status == (405 if cors is None else 204)
                assert got.headers["x-request-id"]
                assert ("access-control-allow-methods" in got.headers) == (allowed is not None)
