"""The admin API: who may call it and where, and that it shows no secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.daemon.running import ADMIN, ADMIN_KEY, KEY, Gateway, configured, running
from tests.fakes.ports import free_port

ECHO = {"id": "up", "type": "echo", "model": "m"}
SERVER = {"server": {"admin_api_key": ADMIN_KEY}}
CONFIG = "/admin/v1/config"


async def call(
    gateway: Gateway, method: str, path: str, headers: dict[str, str] | None = None, port: int | None = None
) -> tuple[int, Any]:
    url = f"http://127.0.0.1:{port or gateway.port}{path}"
    async with gateway.session.request(
        method, url, headers=ADMIN if headers is None else headers
    ) as response:
        assert response.content_type == "application/json"
        return response.status, await response.json()


@pytest.mark.parametrize("prefix", ["", "/api"])
@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", CONFIG, ADMIN, 200),
        ("GET", CONFIG, {"x-api-key": ADMIN_KEY}, 200),
        ("GET", CONFIG, {}, 401),
        ("GET", CONFIG, {"authorization": f"Bearer {KEY}"}, 401),
        ("GET", CONFIG, {"authorization": f"Bearer {ADMIN_KEY}x"}, 401),
        ("GET", CONFIG, {"authorization": ADMIN_KEY}, 401),
        ("GET", CONFIG, {**ADMIN, "x-api-key": "another"}, 401),
        ("POST", "/admin/v1/reload", {}, 401),
        ("GET", "/admin/v1/reload", ADMIN, 405),
        ("DELETE", CONFIG, ADMIN, 405),
        ("GET", "/admin/v1/nothing", ADMIN, 404),
        ("GET", "/admin/v1/nothing", {}, 401),
    ],
)
async def test_who_may_call(
    tmp_path: Path, prefix: str, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    async with running(configured(ECHO, **SERVER), tmp_path) as gateway:
        answered, body = await call(gateway, method, prefix + path, headers)
        assert answered == status
        if status != 200:
            assert set(body) == {"error", "details"}
            assert ADMIN_KEY not in str(body)
        routes = set(gateway.live.metrics._admin.values)
        assert all(route.startswith(("/admin/", "/api/admin/", "unknown")) for route, _ in routes)


async def test_a_wrong_method_names_the_right_one(tmp_path: Path) -> None:
    async with running(configured(ECHO, **SERVER), tmp_path) as gateway:
        url = f"{gateway.url}/admin/v1/reload"
        async with gateway.session.get(url, headers=ADMIN) as response:
            assert (response.status, response.headers["allow"]) == (405, "POST")


async def test_the_effective_configuration_shows_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {
        "OPENAI_KEY": "sk-openai-canary-0123456789",
        "HOOK_SECRET": "hook-canary-0123456789",
        "HOST": "substituted-canary.example.com",
        "HEADER": "header-canary-0123456789",
    }
    (tmp_path / "credential").write_text("sk-file-canary-0123456789\n")
    hook = {
        "type": "webhook",
        "endpoint": "http://u:userinfo-canary@127.0.0.1:9/",
        "secret": "${HOOK_SECRET}",
    }
    provider = {
        "id": "openai",
        "type": "openai",
        "model": "gpt",
        "base_url": "https://${HOST}",
        "headers": {"x-proxy": "${HEADER}"},
        "api_keys": ["${OPENAI_KEY}", f"${{file:{tmp_path}/credential}}"],
    }
    config = configured(
        ECHO,
        provider,
        **SERVER,
        logging={"file": {"enabled": False}, "audit": {"enabled": False}, "providers": [hook]},
    )
    async with running(config, tmp_path, environ=secrets) as gateway:
        status, body = await call(gateway, "GET", CONFIG)
        assert status == 200
        text = str(body)
        assert "canary" not in text
        assert ADMIN_KEY not in text
        assert KEY not in text
        assert body["config_version"] == gateway.live.current.version
        assert body["llm_providers"][1]["api_keys"][0]["key"] == "sk-…6789"
        assert body["policy"]["retry"]["max_attempts"] == 3  # defaults are in it


async def test_without_an_admin_key_it_is_off_until_a_reload_brings_one(tmp_path: Path) -> None:
    async with running(configured(ECHO, server={"admin_api_key": None}), tmp_path) as gateway:
        assert (await call(gateway, "GET", CONFIG))[0] == 404
        gateway.write(configured(ECHO, **SERVER))
        assert gateway.daemon._reloader is not None
        await gateway.daemon._reloader.reload("test")
        assert (await call(gateway, "GET", CONFIG))[0] == 200


async def test_a_listener_of_its_own(tmp_path: Path) -> None:
    port = free_port()
    server = {"admin_api_key": ADMIN_KEY, "admin_listen": f"127.0.0.1:{port}"}
    async with running(configured(ECHO, server=server), tmp_path) as gateway:
        assert (await call(gateway, "GET", CONFIG))[0] == 404
        assert (await call(gateway, "GET", CONFIG, port=port))[0] == 200
        assert (await call(gateway, "GET", CONFIG, {}, port=port))[0] == 401
        async with gateway.session.get(f"{gateway.url}/metrics") as response:
            assert response.status == 404
        async with gateway.session.get(f"http://127.0.0.1:{port}/metrics") as response:
            assert response.status == 200
        assert (await gateway.ask())[0] == 200
