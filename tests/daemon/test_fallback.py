"""Where a request goes when the providers of its model are spent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.daemon.running import configured, running

BAD = {"id": "bad", "type": "echo", "failure_rate": 1, "model": "m", "api_keys": ["a", "b"]}
TWO = {"id": "two", "type": "echo", "model": "m"}
THREE = {"id": "three", "type": "echo", "model": "other", "models": ["m"]}
FOUR = {"id": "four", "type": "echo", "model": "default", "models": ["another"]}
NAMELESS = {"id": "nameless", "type": "echo"}
WORSE = {"id": "worse", "type": "echo", "failure_rate": 1, "model": "m"}


def policy(max_attempts: int = 1, **fallback: Any) -> dict[str, Any]:
    retry = {"max_attempts": max_attempts, "interval": 0}
    return {"algorithm": "round_robin", "retry": retry, "fallback": fallback}


@pytest.mark.parametrize(
    ("fallback", "model", "answered_by"),
    [
        ({}, "bad:m", ("two", "m")),  # those that serve the same model
        ({"providers": ["four"]}, "bad:m", ("four", "default")),
        ({"providers": ["three"]}, "bad:m", ("three", "m")),  # rather the same model than its default
        ({"providers": ["three"]}, "bad:unheard-of", ("three", "other")),
        ({"providers": ["four", "two"]}, "bad:m", ("four", "default")),  # in the order of the list
        ({"providers": ["nameless", "two"]}, "bad:m", ("two", "m")),  # without a default model: no use
        ({"providers": ["bad", "two"]}, "bad:m", ("two", "m")),  # not itself once more
        ({}, "bad:unheard-of", None),
        ({"enabled": False}, "bad:m", None),
        ({"enabled": False, "providers": ["two"]}, "bad:m", None),
        ({"max_providers": 0}, "bad:m", None),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_fallback(
    fallback: dict[str, Any], model: str, answered_by: tuple[str, str] | None, stream: bool, tmp_path: Path
) -> None:
    config = configured(BAD, TWO, THREE, FOUR, NAMELESS, policy=policy(**fallback))
    async with running(config, tmp_path) as gateway:
        status, _, headers = await (gateway.stream if stream else gateway.ask)(model=model)
        if answered_by is None:
            assert (status, headers["x-coo-attempts"], headers["x-coo-provider"]) == (502, "1", "bad")
            assert headers["x-should-retry"] == "false"
        else:
            assert (headers["x-coo-provider"], headers["x-coo-model"]) == answered_by
            assert (status, headers["x-coo-attempts"]) == (200, "2")
        (record,) = await gateway.records(1)
        assert [(a.provider, a.outcome) for a in record.attempts] == [
            ("bad", "failed"),
            *([(answered_by[0], "ok")] if answered_by else []),
        ]


@pytest.mark.parametrize(
    ("max_attempts", "max_providers", "tried"),
    [
        (1, 1, ["bad", "worse"]),
        (1, 2, ["bad", "worse", "two"]),
        (2, 2, ["bad", "bad", "worse", "two"]),
        (4, 2, ["bad", "bad", "bad", "bad", "worse", "two"]),
        (1, 9, ["bad", "worse", "two"]),
    ],
)
async def test_how_many_are_tried(
    max_attempts: int, max_providers: int, tried: list[str], tmp_path: Path
) -> None:
    config = configured(BAD, WORSE, TWO, policy=policy(max_attempts, max_providers=max_providers))
    async with running(config, tmp_path) as gateway:
        await gateway.ask(model="bad:m")
        (record,) = await gateway.records(1)
        assert [attempt.provider for attempt in record.attempts] == tried
        keys = [attempt.key for attempt in record.attempts if attempt.provider == "bad"]
        assert len(set(keys[:2])) == min(max_attempts, 2), "another key before the same again"


async def test_providers_of_an_alias_are_attempts_before_any_fallback(tmp_path: Path) -> None:
    aliases = {"smart": ["bad:m", "worse:m"]}
    config = configured(BAD, WORSE, TWO, FOUR, model_aliases=aliases, policy=policy(3))
    async with running(config, tmp_path) as gateway:
        _, _, headers = await gateway.ask(model="smart")
        assert (headers["x-coo-provider"], headers["x-coo-attempts"]) == ("two", "4")


async def test_a_fallback_answers_where_every_key_is_at_its_limit(tmp_path: Path) -> None:
    limited = {**TWO, "id": "limited", "limits": {"req_per_min": 1}}
    config = configured(limited, TWO, policy=policy())
    async with running(config, tmp_path) as gateway:
        answers = [(await gateway.ask(model="limited:m"))[2] for _ in range(2)]
        assert [headers["x-coo-provider"] for headers in answers] == ["limited", "two"]
        assert [headers["x-coo-attempts"] for headers in answers] == ["1", "1"]
