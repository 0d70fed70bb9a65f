"""Plugins with bugs, and odd requests: whatever fails, a slot of the key and its circuit are given back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from gateway.api import Call, Upstream
from gateway.routing.circuit import CircuitState
from gateway_providers.openai import OpenAI
from tests.daemon.faulty import at_rest, upstream
from tests.daemon.running import Gateway, configured, running
from tests.fakes.nasty import NastyServer
from tests.fakes.steps import answer, stream

PREPARE, READER = OpenAI.prepare, OpenAI.reader


def bug(*_: Any) -> Any:
    raise RuntimeError("a bug")


def headers_of(*headers: Any) -> Any:
    def prepare(self: OpenAI, call: Call, secret: str) -> Upstream:
        request = PREPARE(self, call, secret)
        request.headers = headers[0]
        return request

    return prepare


def odd_usage(self: OpenAI, call: Call) -> Any:
    reader = READER(self, call)

    class Odd(type(reader)):  # type: ignore[misc]
        usage = property(lambda self: "many", lambda self, value: None)

    reader.__class__ = Odd
    return reader


BUGS = {
    "prepare": ("prepare", bug),
    "reader": ("reader", bug),
    "number in a header": ("prepare", headers_of([("X", 5)])),
    "headers for good": ("prepare", headers_of((("X", "5"),))),
    "usage": ("reader", odd_usage),
}


def half_open(gateway: Gateway, *but: CircuitState) -> None:
    """Let the next request be the probe of its key's circuit; one in a state of ``but`` stays as it is."""
    key = next(iter(gateway.live.memory.keys.values()))
    now = time.monotonic()
    for model in key.models.values():
        if model.circuit.state(now) not in but:
            model.circuit.open(now - 100, 1.0)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", BUGS)
async def test_a_plugins_bug_holds_neither_a_slot_nor_a_probe(
    nasty: NastyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, streamed: bool
) -> None:
    nasty.default = stream() if streamed else answer()
    method, broken = BUGS[name]
    up = upstream(nasty.url, limits={"max_parallel": 1})
    async with running(configured(up, policy={"retry": {"max_attempts": 1}}), tmp_path) as gateway:
        assert (await (gateway.stream if streamed else gateway.ask)())[0] == 200
        half_open(gateway)
        with monkeypatch.context() as patch:
            patch.setattr(OpenAI, method, broken)
            async with gateway.chat(stream=streamed) as response:
                body = await response.text()
                assert response.status >= 500 or '"error"' in body
        await at_rest(gateway)
        half_open(gateway, CircuitState.HALF_OPEN)  # the bug may have counted as the provider's failure
        async with gateway.chat(stream=streamed) as response:
            assert response.status == 200, await response.text()


@pytest.mark.parametrize("odd", [{}, [], ["text"]])
async def test_an_odd_response_format_is_the_providers_to_judge(
    nasty: NastyServer, tmp_path: Path, odd: Any
) -> None:
    nasty.default = answer(200, b'{"created": 1, "data": []}')
    up = upstream(nasty.url, limits={"max_parallel": 1})
    body = {"model": "m", "prompt": "a cat", "response_format": odd}
    async with running(configured(up), tmp_path) as gateway:
        for _ in range(2):
            url = f"{gateway.url}/v1/images/generations"
            async with gateway.session.post(url, json=body, headers=gateway.headers) as response:
                assert response.status == 200, await response.text()
        await at_rest(gateway)
