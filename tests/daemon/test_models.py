"""The model list: what a client may put into ``model``, one by one and all together, and its records."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.daemon.running import KEY, Gateway, configured, running

ECHO = {"id": "one", "type": "echo", "model": "m", "models": ["org/m:free", "x"]}
TWO = {"id": "two", "type": "echo", "model": "m", "models": ["gpt-local"]}
CLIENTS = [
    {"id": "all", "key": KEY},
    {"id": "two", "key": "sk-two", "allowed_providers": ["two"]},
    {"id": "globs", "key": "sk-globs", "allowed_models": ["gpt-*", "one:x", "sm*"]},
    {"id": "nothing", "key": "sk-nothing", "allowed_models": []},
]
ALIASES: dict[str, Any] = {"smart": ["one:m", {"target": "two:m", "weight": 2}], "lost": "gone:m"}


def _config() -> dict[str, Any]:
    return configured(ECHO, TWO, api_keys=CLIENTS, model_aliases=ALIASES)


async def _ids(gateway: Gateway, path: str = "/v1/models") -> list[str]:
    status, listed = await gateway.get(path)
    assert (status, listed["object"]) == (200, "list")
    assert all(set(model) == {"id", "object", "created", "owned_by"} for model in listed["data"])
    return [model["id"] for model in listed["data"]]


async def test_each_client_sees_what_it_may_use(tmp_path: Path) -> None:
    async with running(_config(), tmp_path) as gateway:
        everything = [
            *("gpt-local", "m", "one:m", "one:org/m:free", "one:x", "org/m:free", "smart"),
            *("two:gpt-local", "two:m", "x"),
        ]
        assert await _ids(gateway) == await _ids(gateway, "/api/v1/models") == everything
        assert await _ids(gateway.of("sk-two")) == ["gpt-local", "m", "smart", "two:gpt-local", "two:m"]
        assert await _ids(gateway.of("sk-globs")) == ["gpt-local", "one:x", "smart", "two:gpt-local", "x"]
        assert await _ids(gateway.of("sk-nothing")) == []
        for key in (KEY, "sk-two", "sk-globs"):
            for name in await _ids(gateway.of(key)):
                status, _, _ = await gateway.of(key).ask(model=name)
                assert status == 200, (key, name)


@pytest.mark.parametrize("name", ["smart", "org/m:free", "one:org/m:free", "two:m"])
async def test_one_model_is_told_by_its_id(name: str, tmp_path: Path) -> None:
    async with running(_config(), tmp_path) as gateway:
        for path in (f"/v1/models/{name}", f"/api/v1/models/{quote(name, safe='')}"):
            status, model = await gateway.get(path)
            assert (status, model["id"], model["object"]) == (200, name, "model")


@pytest.mark.parametrize(("key", "name"), [(KEY, "gone"), (KEY, "lost"), ("sk-two", "x"), ("sk-globs", "m")])
async def test_a_model_that_is_not_there_or_not_for_this_client_is_404(
    key: str, name: str, tmp_path: Path
) -> None:
    async with running(_config(), tmp_path) as gateway:
        status, answer = await gateway.of(key).get(f"/v1/models/{name}")
        assert (status, answer["error"]["code"], answer["error"]["param"]) == (
            404,
            "model_not_found",
            "model",
        )


async def test_a_look_at_the_list_is_recorded_and_uses_up_nothing(tmp_path: Path) -> None:
    clients = [{"id": "one", "key": KEY, "limits": {"req_per_min": 1}}]
    async with running(configured(ECHO, api_keys=clients), tmp_path) as gateway:
        await gateway.get("/v1/models")
        await gateway.get("/v1/models/nope")
        missing, listed = await gateway.records(2)
        assert (listed.operation, listed.status, listed.error, listed.attempts) == ("models", 200, None, [])
        assert (missing.alias, missing.status, missing.error) == ("nope", 404, "model_not_found")
        status, _, _ = await gateway.ask()
        assert status == 200
        samples = await gateway.samples()
        labels = {"provider": "none", "model": "other", "client": "one"}
        assert [samples.sum("requests_total", status=s, **labels) for s in ("200", "404")] == [1, 1]
