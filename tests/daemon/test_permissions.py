"""What a client may use: providers and models, by whatever name it asks, and again at each fallback."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.api import Filter
from tests.daemon.running import KEY, configured, running

ONE = {"id": "one", "type": "echo", "model": "m", "models": ["gpt-4o", "gpt-4o-mini", "org/x"]}
TWO = {"id": "two", "type": "echo", "model": "m", "models": ["secret"]}
FAILING = {"id": "bad", "type": "echo", "failure_rate": 1, "model": "m", "models": ["secret", "only"]}
ALIASES: dict[str, Any] = {"smart": "one:gpt-4o", "pool": ["one:m", "two:m"], "hidden": "two:secret"}


def client(**settings: Any) -> list[dict[str, Any]]:
    return [{"id": "one", "key": KEY, **settings}]


@pytest.mark.parametrize(
    ("settings", "model", "refused"),
    [
        ({"allowed_providers": ["one"]}, "one:anything", None),
        ({"allowed_providers": ["one"]}, "two:m", "provider_not_allowed"),
        ({"allowed_providers": ["one"]}, "hidden", "provider_not_allowed"),
        ({"allowed_providers": ["one"]}, "pool", None),
        ({"allowed_providers": []}, "m", "provider_not_allowed"),
        ({"allowed_providers": ["one", "*"]}, "hidden", None),
        ({"allowed_models": ["gpt-*"]}, "gpt-4o-mini", None),
        ({"allowed_models": ["gpt-*"]}, "one:gpt-4o", None),
        ({"allowed_models": ["gpt-*"]}, "echo:gpt-4o", None),
        ({"allowed_models": ["gpt-*"]}, "smart", None),
        ({"allowed_models": ["gpt-*"]}, "m", "model_not_allowed"),
        ({"allowed_models": ["gpt-*"]}, "org/x", "model_not_allowed"),
        ({"allowed_models": ["smart"]}, "smart", None),
        ({"allowed_models": ["smart"]}, "gpt-4o", "model_not_allowed"),
        ({"allowed_models": ["org/?"]}, "one:org/x", None),
        ({"allowed_models": ["one:*"]}, "m", None),
        ({"allowed_models": ["GPT-4o"]}, "gpt-4o", "model_not_allowed"),
        ({"allowed_models": []}, "m", "model_not_allowed"),
        ({"allowed_models": ["secret"], "allowed_providers": ["one"]}, "two:secret", "provider_not_allowed"),
        ({"allowed_providers": ["one"]}, "no-such-model", "model_not_found"),
    ],
)
async def test_permissions(settings: dict[str, Any], model: str, refused: str | None, tmp_path: Path) -> None:
    config = configured(ONE, TWO, api_keys=client(**settings), model_aliases=ALIASES)
    async with running(config, tmp_path) as gateway:
        status, answer, headers = await gateway.ask(model=model)
        if refused is None:
            assert status == 200, answer
            return
        wanted = {"model_not_found": (404, "invalid_request_error", "caller")}
        assert (status, answer["error"]["type"], headers["x-coo-error-source"]) == wanted.get(
            refused, (403, "permission_error", "policy")
        )
        assert answer["error"]["code"] == refused
        (record,) = await gateway.records(1)
        assert (record.status, record.error, record.attempts) == (status, refused, [])


async def test_only_what_is_allowed_of_a_pool_is_used(tmp_path: Path) -> None:
    config = configured(ONE, TWO, api_keys=client(allowed_models=["one:m"]), model_aliases=ALIASES)
    async with running(config, tmp_path) as gateway:
        for _ in range(4):
            _, _, headers = await gateway.ask(model="pool")
            assert headers["x-coo-provider"] == "one"


@pytest.mark.parametrize(
    ("settings", "model", "answered_by"),
    [
        ({}, "bad:secret", "two"),
        ({"allowed_providers": ["bad", "one"]}, "bad:secret", None),
        ({"allowed_providers": ["bad", "two"]}, "bad:secret", "two"),
        ({}, "bad:only", "two"),  # with its default model, m
        ({"allowed_models": ["only", "m"]}, "bad:only", "two"),
        ({"allowed_models": ["only"]}, "bad:only", None),
        ({"allowed_models": ["bad:*"]}, "bad:only", None),
    ],
)
async def test_each_fallback_is_asked_for_too(
    settings: dict[str, Any], model: str, answered_by: str | None, tmp_path: Path
) -> None:
    policy = {"retry": {"max_attempts": 1}, "fallback": {"providers": ["two"]}}
    config = configured(FAILING, TWO, ONE, api_keys=client(**settings), policy=policy)
    async with running(config, tmp_path) as gateway:
        status, answer, headers = await gateway.ask(model=model)
        if answered_by is not None:
            assert (status, headers["x-coo-provider"]) == (200, answered_by)
        else:
            assert (status, answer["error"]["code"], headers["x-coo-provider"]) == (
                502,
                "upstream_error",
                "bad",
            )


@pytest.mark.parametrize(("days", "status"), [(-1, 401), (1, 200)])
async def test_a_key_that_has_expired_is_401(days: int, status: int, tmp_path: Path) -> None:
    moment = (datetime.now(UTC) + timedelta(days=days)).isoformat()
    async with running(configured(ONE, api_keys=client(expires_at=moment)), tmp_path) as gateway:
        got, answer, headers = await gateway.ask()
        assert got == status
        if status == 401:
            assert answer["error"]["code"] == "invalid_api_key"
            assert headers["www-authenticate"] == "Bearer"
            assert (await gateway.get("/v1/models"))[0] == 401
            assert await gateway.live.store.requests(Filter(), 1) == []
            assert (await gateway.samples()).sum("errors_total", code="invalid_api_key") == 2
