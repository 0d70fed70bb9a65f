"""A client's own limits: what is refused, in which words, until when; and what counts."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.api import Reading
from tests.daemon.running import KEY, Clock, Gateway, configured, openai, running, until
from tests.fakes.openai import FakeOpenAI

ECHO = {"id": "up", "type": "echo", "model": "m"}
LONG = [{"role": "user", "content": "word " * 400}]


def limited(provider: dict[str, Any] = ECHO, **limits: Any) -> dict[str, Any]:
    return configured(provider, api_keys=[{"id": "one", "key": KEY, "limits": limits}])


def window(gateway: Gateway, kind: str, id: str = "one") -> Reading:
    """Where a window of a client stands."""
    client = gateway.live.current.clients.named(id)
    assert client is not None
    return next(reading for reading in client.meter.readings() if reading.kind == kind)


async def test_requests_a_minute(tmp_path: Path) -> None:
    clock = Clock()
    async with running(limited(req_per_min=3), tmp_path, clock=clock) as gateway:
        for left in (2, 1, 0):
            status, _, headers = await gateway.ask()
            assert (status, headers["x-ratelimit-limit-requests"]) == (200, "3")
            assert headers["x-ratelimit-remaining-requests"] == str(left)
            assert headers["x-ratelimit-reset-requests"] == "1m0s"
            assert "x-ratelimit-limit-tokens" not in headers
            clock.now += 10
        for path in ("ask", "stream"):
            clock.now += 1.25
            status, answer, headers = await getattr(gateway, path)()
            assert (status, headers["retry-after"]) == (429, "29" if path == "ask" else "28")
            assert headers["retry-after-ms"] == ("28750" if path == "ask" else "27500")
            assert headers["x-coo-error-source"] == "policy"
            assert headers["x-ratelimit-remaining-requests"] == "0"
            assert headers["x-coo-attempts"] == "0"
            assert "x-should-retry" not in headers
            if path == "ask":
                error = answer["error"]
                assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
                assert error["details"] == {"limit": 3, "remaining": 0, "retry_after": 28.75}
                assert "3 requests a minute" in error["message"]
        clock.now += 27.499
        assert (await gateway.ask())[0] == 429
        clock.now += 0.002
        assert (await gateway.ask())[0] == 200
        assert (await gateway.ask())[0] == 429
        samples = await gateway.samples()
        assert samples.sum("rate_limited_total", scope="client", id="one", kind="requests") == 4
        assert samples.sum("requests_total", client="one", status="429") == 4
        assert samples.sum("upstream_attempts_total") == 4


async def test_what_is_refused_or_malformed_counts_nothing(tmp_path: Path) -> None:
    config = limited(req_per_min=1, tokens_per_min=100_000)
    async with running(config, tmp_path, clock=Clock()) as gateway:
        url = gateway.url + "/v1/chat/completions"
        for body in (b"", b"{", b"[]", b'{"model": "m"}', b'{"model": "m", "messages": 3}'):
            async with gateway.session.post(url, data=body, headers=gateway.headers) as response:
                assert response.status == 400
        assert (await gateway.ask(model="nothing"))[0] == 404
        assert (await gateway.ask(temperature=9))[0] == 400
        assert (await gateway.of("sk-wrong").ask())[0] == 401
        assert window(gateway, "requests").used == window(gateway, "tokens").used == 0
        assert (await gateway.ask())[0] == 200
        used = window(gateway, "tokens").used
        assert (await gateway.ask())[0] == 429
        assert (window(gateway, "requests").used, window(gateway, "tokens").used) == (1, used)


async def test_what_no_provider_was_asked_for_counts_nothing(tmp_path: Path) -> None:
    config = limited({**ECHO, "limits": {"req_per_min": 1}}, req_per_min=5, tokens_per_min=10_000)
    async with running(config, tmp_path, clock=Clock()) as gateway:
        assert (await gateway.ask())[0] == 200
        used = window(gateway, "tokens").used
        for _ in range(9):
            status, answer, _ = await gateway.ask()
            assert (status, answer["error"]["code"]) == (429, "upstream_rate_limited")
        assert (window(gateway, "requests").used, window(gateway, "tokens").used) == (1, used)


@pytest.mark.parametrize("stream", [False, True])
async def test_tokens_are_settled_with_the_true_figure(stream: bool, tmp_path: Path) -> None:
    config = limited(tokens_per_min=10_000)
    async with running(config, tmp_path, clock=Clock()) as gateway:
        await (gateway.stream if stream else gateway.ask)(messages=LONG)
        (record,) = await gateway.records(1)
        assert record.input_tokens == record.output_tokens == 400
        assert window(gateway, "tokens").used == 800


async def test_tokens_a_minute(tmp_path: Path) -> None:
    clock = Clock()
    async with running(limited(tokens_per_min=1000), tmp_path, clock=clock) as gateway:
        status, _, headers = await gateway.ask(messages=LONG, max_tokens=10)
        assert (status, headers["x-ratelimit-limit-tokens"]) == (200, "1000")
        assert headers["x-ratelimit-remaining-tokens"] == "590"
        assert window(gateway, "tokens").used == 410
        clock.now += 20
        status, answer, headers = await gateway.ask(messages=LONG, max_tokens=300)
        assert status == 429
        error = answer["error"]
        assert (error["type"], error["code"]) == ("rate_limit_error", "token_limit_exceeded")
        assert error["details"] == {"limit": 1000, "remaining": 590, "retry_after": 40.0}
        assert headers["retry-after"] == "40"
        assert headers["x-ratelimit-remaining-tokens"] == "590"
        clock.now += 40
        assert (await gateway.ask(messages=LONG, max_tokens=300))[0] == 200


async def test_use_beyond_the_estimate_is_carried(tmp_path: Path) -> None:
    """400 short words are far more tokens to an echo than a fourth of their bytes."""
    clock = Clock()
    many = [{"role": "user", "content": "a " * 1500}]
    async with running(limited(tokens_per_min=2000), tmp_path, clock=clock) as gateway:
        status, _, headers = await gateway.ask(messages=many)
        assert (status, headers["x-ratelimit-remaining-tokens"]) == (200, "0")
        assert window(gateway, "tokens").used == 3000
        status, answer, _ = await gateway.ask()
        assert (status, answer["error"]["details"]["remaining"]) == (429, 0)
        clock.now += 59.9
        assert (await gateway.ask())[0] == 429
        clock.now += 0.2
        assert (await gateway.ask())[0] == 200


async def test_a_request_that_fails_upstream_costs_no_tokens(tmp_path: Path) -> None:
    config = limited({**ECHO, "failure_rate": 1}, tokens_per_min=1000)
    config["policy"] = {"retry": {"interval": 0}}
    async with running(config, tmp_path, clock=Clock()) as gateway:
        for _ in range(3):
            assert (await gateway.ask())[0] == 502
        assert window(gateway, "tokens").used == 0


async def test_requests_at_once(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    async with running(limited(openai(fake_openai.url), max_parallel=2), tmp_path) as gateway:
        gate = fake_openai.gate = asyncio.Event()
        running_ = [asyncio.create_task(gateway.ask(model="gpt-4o")) for _ in range(2)]
        await until(lambda: len(fake_openai.requests) == 2)
        status, answer, headers = await gateway.ask(model="gpt-4o")
        assert (status, headers["retry-after"]) == (429, "1")
        error = answer["error"]
        assert (error["type"], error["code"]) == ("rate_limit_error", "parallel_limit_exceeded")
        assert error["details"] == {"limit": 2, "remaining": 0, "retry_after": 1.0}
        gate.set()
        assert [status for status, _, _ in await asyncio.gather(*running_)] == [200, 200]
        assert window(gateway, "parallel").used == 0
        assert (await gateway.ask(model="gpt-4o"))[0] == 200


async def test_a_client_that_leaves_frees_its_slot(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    async with running(
        limited(openai(fake_openai.url), max_parallel=1, tokens_per_min=1000), tmp_path
    ) as gateway:
        fake_openai.gate = asyncio.Event()
        asking = asyncio.create_task(gateway.stream(model="gpt-4o"))
        await until(lambda: len(fake_openai.requests) == 1)
        asking.cancel()
        (record,) = await gateway.records(1)
        assert (record.status, record.error, record.partial) == (499, "client_closed_request", True)
        assert window(gateway, "parallel").used == 0
        assert 0 < window(gateway, "tokens").used == record.input_tokens + record.output_tokens


async def test_clients_do_not_use_up_each_others_limits(tmp_path: Path) -> None:
    clients = [
        {"id": "one", "key": KEY, "limits": {"req_per_min": 1}},
        {"id": "two", "key": "sk-two", "limits": {"req_per_min": 2}},
        {"id": "free", "key": "sk-free"},
    ]
    async with running(configured(ECHO, api_keys=clients), tmp_path, clock=Clock()) as gateway:
        for key, admitted in ((KEY, 1), ("sk-two", 2), ("sk-free", 4)):
            statuses = [(await gateway.of(key).ask())[0] for _ in range(4)]
            assert statuses == [200] * admitted + [429] * (4 - admitted)
        _, _, headers = await gateway.of("sk-free").ask()
        assert not [name for name in headers if name.lower().startswith("x-ratelimit")]


async def test_a_reload_changes_the_limit_and_keeps_what_was_used(tmp_path: Path) -> None:
    async with running(limited(req_per_min=2), tmp_path, clock=Clock()) as gateway:
        assert [(await gateway.ask())[0] for _ in range(3)] == [200, 200, 429]
        await gateway.reload(api_keys=[{"id": "one", "key": KEY, "limits": {"req_per_min": 3}}])
        assert [(await gateway.ask())[0] for _ in range(2)] == [200, 429]
