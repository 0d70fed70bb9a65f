"""Affinity as clients meet it: conversations that begin alike are answered by one key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.daemon.running import ADMIN_KEY, Clock, Gateway, configured, running

ECHO: dict[str, Any] = {"id": "echo", "type": "echo", "model": "m", "api_keys": ["1", "2", "3"]}
SYSTEM = {"role": "system", "content": "Be brief."}


def talk(*words: str) -> list[dict[str, str]]:
    """A conversation in which the user said this, and was answered in between."""
    said = [{"role": "user", "content": word} for word in words]
    answers = [{"role": "assistant", "content": "Yes."} for _ in words]
    return [SYSTEM, *(message for pair in zip(said, answers, strict=True) for message in pair)][:-1]


async def keys(gateway: Gateway, *conversations: list[dict[str, str]]) -> list[str]:
    """Who answered each."""
    found = []
    for messages in conversations:
        status, answer, answered = await gateway.ask(messages=messages)
        assert status == 200, answer
        found.append(answered["x-coo-key"])
    return found


@pytest.mark.parametrize("algorithm", ["hybrid", "adaptive"])
async def test_a_conversation_stays_with_its_key(algorithm: str, tmp_path: Path) -> None:
    policy = {"algorithm": algorithm, "affinity": {"enabled": True}}
    config = configured(ECHO, policy=policy, server={"admin_api_key": ADMIN_KEY})
    async with running(config, tmp_path, clock=Clock()) as gateway:
        conversation = [talk(*["Hello"] * length) for length in range(1, 9)]
        (key,) = set(await keys(gateway, *conversation))
        asked = {"model": "m", "client": "one", "messages": talk("Hello")}
        _, found = await gateway.admin("POST", "route", asked)
        assert found["candidates"][0]["key"] == key
        others = [talk(f"Question {number}") for number in range(12)]
        assert len(set(await keys(gateway, *others))) == 3
        assert set(await keys(gateway, *conversation)) == {key}


async def test_not_where_it_is_off_or_means_nothing(tmp_path: Path) -> None:
    async with running(configured(ECHO), tmp_path, clock=Clock()) as gateway:
        assert len(set(await keys(gateway, *[talk("Hello")] * 9))) == 3
        await gateway.reload(policy={"algorithm": "round_robin", "affinity": {"enabled": True}})
        assert len(set(await keys(gateway, *[talk("Hello")] * 9))) == 3
