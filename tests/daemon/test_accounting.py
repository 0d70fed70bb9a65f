"""One record for each authenticated request, whatever became of it, with the exact cost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.api import Filter, Record
from tests.daemon.running import KEY, Gateway, configured, openai, running, until
from tests.fakes.openai import FakeOpenAI
from tests.fakes.upstream import Fault

PRICES = {
    "input_token_cost": 0.00123456789,
    "output_token_cost": 0.0098765432101,
    "cached_input_token_cost": 0.000111,
    "cache_write_token_cost": 0.00177,
    "reasoning_token_cost": 0.0333333,
}
PLAIN = {"input_token_cost": 0.0025, "output_token_cost": 0.01}


def nano(tokens: dict[str, int], prices: dict[str, Any]) -> int:
    """The cost in nano-dollars, rounded once, half to even; ``tokens`` by the name of their price."""
    exact = sum((count * Fraction(str(prices[name])) for name, count in tokens.items()), Fraction(0))
    return round(exact / 1000 * 10**9)


def usage_of(events: list[Any]) -> list[Any]:
    return [event["usage"] for event in events if isinstance(event, dict) and event.get("usage")]


@pytest.mark.parametrize(
    ("model", "cached", "written"), [("gpt-4o", 0, 0), ("gpt-4o", 3, 0), ("gpt-4o", 3, 4), ("o3", 5, 0)]
)
async def test_cost_is_exact_and_the_same_everywhere(
    model: str, cached: int, written: int, fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    fake_openai.cached, fake_openai.cache_written = cached, written
    provider = openai(fake_openai.url, model=model, pricing=PRICES)
    async with running(configured(provider), tmp_path) as gateway:
        async with gateway.chat(model=model) as response:
            raw, headers = await response.read(), response.headers
        usage = orjson.loads(raw)["usage"]
        thought = usage["completion_tokens_details"]["reasoning_tokens"]
        assert (thought > 0) == (model == "o3")
        cost = nano(
            {
                "input_token_cost": usage["prompt_tokens"] - cached - written,
                "cached_input_token_cost": cached,
                "cache_write_token_cost": written,
                "output_token_cost": usage["completion_tokens"] - thought,
                "reasoning_token_cost": thought,
            },
            PRICES,
        )
        written_out = raw.split(b'"cost":')[1].split(b",")[0].decode()
        assert Decimal(written_out) == Decimal(headers["x-coo-cost"]) == Decimal(cost) / 10**9
        _, events, _ = await gateway.stream(model=model, stream_options={"include_usage": True})
        (streamed,) = usage_of(events)
        assert Decimal(str(streamed["cost"])) == Decimal(cost) / 10**9
        for record in await gateway.records(2):
            assert record.cost_nano_usd == cost
            assert (record.input_tokens, record.cached_tokens) == (usage["prompt_tokens"], cached)
            assert (record.output_tokens, record.reasoning_tokens) == (usage["completion_tokens"], thought)
            assert not record.estimated
        samples = await gateway.samples()
        labels = {"provider": "up", "model": model, "client": "one"}
        assert samples.sum("cost_usd_total", **labels) == pytest.approx(2 * cost / 1e9, abs=1e-15)
        types = {"cache_read": cached, "cache_write": written, "reasoning": thought}
        for type_, count in types.items():
            assert samples.sum("tokens_total", type=type_, **labels) == 2 * count
        assert samples.sum("tokens_total", **labels) == 2 * usage["total_tokens"]


async def test_the_nearest_price_counts(tmp_path: Path) -> None:
    """A model's own before its key's, a key's before its provider's."""
    provider = {
        "id": "up",
        "type": "echo",
        "model": "m",
        "models": [{"name": "special", "pricing": {"input_token_cost": 3, "output_token_cost": 3}}],
        "pricing": {"input_token_cost": 1, "output_token_cost": 1},
        "api_keys": ["plain", {"key": "k", "pricing": {"input_token_cost": 2, "output_token_cost": 2}}],
    }
    config = configured(provider, policy={"algorithm": "round_robin"})
    async with running(config, tmp_path) as gateway:
        costs = [(await gateway.ask())[1]["usage"]["cost"] for _ in range(2)]
        assert costs == [0.002, 0.004]
        special = [(await gateway.ask(model="special"))[1]["usage"]["cost"] for _ in range(2)]
        assert special == [0.006, 0.006]


@pytest.mark.parametrize("pricing", [{}, {"input_token_cost": 1}, {"output_token_cost": 1}])
async def test_an_unknown_price_is_null_and_never_zero(pricing: dict[str, Any], tmp_path: Path) -> None:
    provider = {"id": "up", "type": "echo", "model": "m", "pricing": pricing}
    async with running(configured(provider), tmp_path) as gateway:
        async with gateway.chat() as response:
            assert b'"cost":null' in await response.read()
            assert "x-coo-cost" not in response.headers
        _, events, _ = await gateway.stream(stream_options={"include_usage": True})
        assert [usage["cost"] for usage in usage_of(events)] == [None]
        assert [record.cost_nano_usd for record in await gateway.records(2)] == [None, None]
        samples = await gateway.samples()
        assert samples.sum("unknown_price_total", provider="up", model="m") == 2
        assert samples.values("cost_usd_total", "provider") == set()


async def test_a_price_of_zero_is_known(tmp_path: Path) -> None:
    free = {"input_token_cost": 0, "output_token_cost": 0}
    async with running(
        configured({"id": "up", "type": "echo", "model": "m", "pricing": free}), tmp_path
    ) as gateway:
        _, answer, headers = await gateway.ask()
        assert (answer["usage"]["cost"], headers["x-coo-cost"]) == (0, "0")
        assert (await gateway.records(1))[0].cost_nano_usd == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_the_price_is_that_of_the_moment_of_admission(
    stream: bool, fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    provider = openai(fake_openai.url, pricing=PLAIN)
    async with running(configured(provider), tmp_path) as gateway:
        gate = fake_openai.gate = asyncio.Event()
        before = gateway.live.current.version
        ask = gateway.stream if stream else gateway.ask
        asking = asyncio.create_task(ask(model="gpt-4o"))
        await until(lambda: len(fake_openai.requests) == 1)
        dear = {name: 1000 * price for name, price in PLAIN.items()}
        await gateway.reload(llm_providers=[openai(fake_openai.url, pricing=dear)])
        gate.set()
        await asking
        await ask(model="gpt-4o")
        later, earlier = await gateway.records(2)
        tokens = {"input_token_cost": earlier.input_tokens, "output_token_cost": earlier.output_tokens}
        assert earlier.cost_nano_usd == nano(tokens, PLAIN)
        assert later.cost_nano_usd == nano(tokens, dear)
        assert (earlier.config_version, later.config_version) == (before, gateway.live.current.version)
        assert before != gateway.live.current.version


async def test_the_usage_chunk_is_for_those_who_asked(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    async with running(configured(openai(fake_openai.url, pricing=PLAIN)), tmp_path) as gateway:
        for options, wanted in (
            (None, 0),
            ({}, 0),
            ({"include_usage": False}, 0),
            ({"include_usage": True}, 1),
        ):
            body: dict[str, Any] = {"model": "gpt-4o"} | (
                {} if options is None else {"stream_options": options}
            )
            _, events, _ = await gateway.stream(**body)
            assert len(usage_of(events)) == wanted
            assert fake_openai.requests[-1].json()["stream_options"] == {"include_usage": True}
            (record,) = await gateway.records(1)
            assert (record.input_tokens > 0, record.estimated) == (True, False)


async def _totals(gateway: Gateway, records: list[Record]) -> None:
    """What the records come to is what the metrics say."""
    samples = await gateway.samples()
    assert samples.sum("requests_total") == len(records)
    tokens = sum(record.input_tokens + record.output_tokens for record in records)
    assert samples.sum("tokens_total") == tokens
    cost = sum(record.cost_nano_usd or 0 for record in records)
    assert samples.sum("cost_usd_total") == pytest.approx(cost / 1e9, abs=1e-12)
    attempts = [attempt for record in records for attempt in record.attempts]
    assert samples.sum("upstream_attempts_total") == len(attempts)
    by_outcome = {attempt.outcome for attempt in attempts}
    assert samples.values("upstream_attempts_total", "outcome") == by_outcome


async def test_every_request_has_its_record(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    clients = [
        {"id": "one", "key": KEY},
        {"id": "poor", "key": "sk-poor", "limits": {"req_per_min": 1}, "allowed_models": ["gpt-4o"]},
    ]
    config = configured(
        openai(fake_openai.url, pricing=PLAIN, models=["gpt-4o-mini"]),
        {"id": "two", "type": "echo", "model": "m"},
        api_keys=clients,
        model_aliases={"smart": "up:gpt-4o"},
        policy={"retry": {"max_attempts": 2, "interval": 0}},
    )
    expected = []

    def done(status: int, error: str | None, *attempts: str, **facts: Any) -> None:
        expected.append({"status": status, "error": error, "attempts": list(attempts), **facts})

    async with running(config, tmp_path) as gateway:
        poor = gateway.of("sk-poor")
        await gateway.ask(model="smart")
        done(200, None, "ok", alias="smart", provider="up", model="gpt-4o", client="one", stream=False)
        await gateway.stream(model="two:m")
        done(200, None, "ok", alias="two:m", provider="two", model="m", stream=True, cost_nano_usd=None)
        fake_openai.script.append(Fault(500))
        await gateway.ask(model="gpt-4o")
        done(200, None, "failed", "ok", partial=False)
        fake_openai.script.extend([Fault(500), Fault(502)])
        await gateway.ask(model="gpt-4o")
        done(502, "upstream_error", "failed", "failed", provider="up", input_tokens=0)
        fake_openai.script.append(Fault(400, "no such thing"))
        await gateway.ask(model="gpt-4o")
        done(400, "upstream_rejected", "caller")
        await gateway.ask(model="none")
        done(404, "model_not_found", alias="none", provider=None, key=None, model=None)
        await gateway.ask(messages=[])
        done(400, "invalid_value", alias="m")
        await gateway.ask(model="x" * 300)
        done(400, "invalid_value", alias="x" * 256)
        await gateway.ask(model=5)
        done(400, "invalid_type", alias="")
        async with gateway.session.post(
            gateway.url + "/v1/chat/completions", data=b"{", headers=gateway.headers
        ):
            done(400, "invalid_json", alias="", stream=False, cost_nano_usd=None)
        await poor.ask(model="gpt-4o-mini")
        done(403, "model_not_allowed", client="poor", alias="gpt-4o-mini")
        await poor.ask(model="gpt-4o")
        done(200, None, "ok", client="poor")
        await poor.ask(model="gpt-4o")
        done(429, "rate_limit_exceeded", client="poor")
        await gateway.get("/v1/models")
        done(200, None, operation="models")
        await gateway.of("sk-nobody").ask()
        await gateway.get("/v1/nothing")
        records = (await gateway.records(len(expected)))[::-1]
        assert await gateway.live.store.requests(Filter(), 99) == records[::-1]
        for wanted, record in zip(expected, records, strict=True):
            attempts = [attempt.outcome for attempt in record.attempts]
            assert {name: getattr(record, name) for name in wanted} | {"attempts": attempts} == wanted
            assert 0 <= record.overhead_ms <= record.total_ms < 5000
            assert record.cache == "off"
            assert record.config_version == gateway.live.current.version
        assert len({record.request_id for record in records}) == len(records)
        await _totals(gateway, records)
        samples = await gateway.samples()
        assert samples.sum("errors_total", provider="none", code="invalid_api_key") == 1
        assert samples.sum("errors_total", provider="none", code="unknown_url") == 1


@pytest.mark.parametrize("coding", ["br", "zstd", "foo"])
async def test_a_body_in_a_coding_that_is_not_undone_has_its_record(coding: str, tmp_path: Path) -> None:
    """The parser of HTTP knows the names of some of them, and reads no further there."""
    async with running(configured({"id": "up", "type": "echo", "model": "m"}), tmp_path) as gateway:
        url, headers = f"{gateway.url}/v1/chat/completions", {"content-encoding": coding}
        async with gateway.session.post(url, data=b"{}", headers={**gateway.headers, **headers}) as response:
            assert (response.status, response.headers["x-coo-attempts"]) == (415, "0")
        async with gateway.session.post(url, data=b"{}", headers=headers) as response:
            assert response.status == 401
        await gateway.ask()
        last, refused = await gateway.records(2)
        assert (refused.client, refused.status, refused.error) == ("one", 415, "unsupported_media_type")
        assert last.status == 200
        assert len(await gateway.live.store.requests(Filter(), 99)) == 2


async def test_times_are_sane(tmp_path: Path) -> None:
    provider = {"id": "up", "type": "echo", "model": "m", "first_token_ms": 40, "token_ms": 20}
    async with running(configured(provider), tmp_path) as gateway:
        await gateway.stream(messages=[{"role": "user", "content": "one two three four"}])
        await gateway.ask(messages=[{"role": "user", "content": "one two three four"}])
        whole, stream = await gateway.records(2)
        assert stream.first_token_ms is not None
        assert 40 <= stream.first_token_ms <= stream.total_ms - 60
        assert stream.overhead_ms < stream.total_ms / 2
        assert whole.first_token_ms is None
        assert whole.total_ms >= 120
        (attempt,) = whole.attempts
        assert attempt.ms <= whole.total_ms
        assert whole.total_ms - attempt.ms == pytest.approx(whole.overhead_ms, abs=0.01)
        samples = await gateway.samples()
        for name, count in (("request_duration", 2), ("overhead", 2), ("time_to_first_token", 1)):
            assert samples.sum(f"{name}_seconds_count", provider="up", model="m") == count
        total = (whole.total_ms + stream.total_ms) / 1000
        assert samples.sum("request_duration_seconds_sum", provider="up") == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize("patience", [None, 0.15])
async def test_the_wait_before_a_key_is_tried_again_is_no_overhead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: float | None
) -> None:
    """Nor is it where the client has not the ``patience`` for it."""
    monkeypatch.setattr("random.uniform", lambda least, most: most)
    provider = {"id": "up", "type": "echo", "model": "m", "failure_rate": 1}
    retry = {"max_attempts": 2, "interval": "300ms"}
    async with running(configured(provider, policy={"retry": retry}), tmp_path) as gateway:
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                assert (await gateway.ask())[0] == 502
        (record,) = await gateway.records(1)
        waited = 300 if patience is None else 100
        assert record.total_ms >= waited > 50 > record.overhead_ms
        overhead = (await gateway.samples()).sum("overhead_seconds_sum", provider="up")
        assert overhead == pytest.approx(record.overhead_ms / 1000, abs=1e-5)
