"""Images, speech, moderations and rankings: passed on as they are, by OpenAI's SDK and by plain HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError

from tests.daemon.running import KEY, Gateway, configured, running
from tests.fakes.media import PIXEL, SOUND, FakeMedia
from tests.fakes.upstream import Fault

PRICES = {"input_token_cost": 0.001, "output_token_cost": 0.002}
RANKING = {"model": "reranker", "query": "red fish", "documents": ["blue fish", "red fish"], "top_n": 1}


@pytest.fixture
async def fake() -> AsyncIterator[FakeMedia]:
    async with FakeMedia() as fake:
        yield fake


def provider(fake: FakeMedia, **settings: Any) -> dict[str, Any]:
    return {
        "id": "up",
        "type": "openai",
        "api_keys": ["good-key", "second-key"],
        "base_url": fake.url,
        "models": ["gpt-image-1", "dall-e-3", "gpt-4o-mini-tts", "reranker"],
        "pricing": dict(PRICES),
        **settings,
    }


@pytest.fixture
async def gateway(fake: FakeMedia, tmp_path: Path) -> AsyncIterator[Gateway]:
    fake.keys.add("second-key")
    ranks = {
        "id": "ranks",
        "type": "custom",
        "endpoints": ["rerank"],
        "api_keys": ["good-key"],
        "base_url": fake.url,
        "models": ["reranker"],
        "pricing": dict(PRICES),
    }
    async with running(configured(provider(fake), ranks), tmp_path) as gateway:
        yield gateway


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


async def post(gateway: Gateway, path: str, body: Any) -> tuple[int, Any, Any]:
    """Status, JSON body and headers."""
    async with gateway.session.post(gateway.url + path, json=body, headers=gateway.headers) as response:
        return response.status, await response.json(), response.headers


async def test_moderations_without_a_model(client: AsyncOpenAI, fake: FakeMedia, gateway: Gateway) -> None:
    answer = await client.moderations.create(input=["kind", "violence"])
    assert [result.flagged for result in answer.results] == [False, True]
    assert fake.requests[-1].json() == {"model": "omni-moderation-latest", "input": ["kind", "violence"]}
    (record,) = await gateway.records(1)
    assert (record.operation, record.alias, record.status) == ("moderations", "omni-moderation-latest", 200)
    assert record.estimated and record.input_tokens > 0 and record.output_tokens == 0
    assert record.cost_nano_usd is None


async def test_an_image(client: AsyncOpenAI, fake: FakeMedia, gateway: Gateway) -> None:
    answer = await client.images.generate(model="gpt-image-1", prompt="a fish", n=2, size="1024x1024")
    assert answer.data is not None and [image.b64_json for image in answer.data] == [PIXEL] * 2
    assert answer.usage is not None and answer.usage.output_tokens == 100
    asked = {"model": "gpt-image-1", "prompt": "a fish", "n": 2, "size": "1024x1024"}
    assert fake.requests[-1].json() == asked
    cost = (answer.usage.input_tokens * 1 + 100 * 2) * 10**-6
    assert answer.usage.model_extra == {"cost": pytest.approx(cost)}
    (record,) = await gateway.records(1)
    assert (record.operation, record.output_tokens, record.estimated) == ("images", 100, False)
    assert record.cost_nano_usd == round(cost * 10**9)


async def test_an_image_without_usage_has_no_price(gateway: Gateway) -> None:
    status, body, headers = await post(
        gateway, "/v1/images/generations", {"model": "dall-e-3", "prompt": "x"}
    )
    assert status == 200 and "usage" not in body
    assert "x-coo-cost" not in headers and headers["x-coo-provider"] == "up"
    (record,) = await gateway.records(1)
    assert record.cost_nano_usd is None and record.estimated
    assert (await gateway.samples()).sum("unknown_price_total", provider="up") == 1


async def test_an_image_that_comes_in_events(client: AsyncOpenAI, gateway: Gateway) -> None:
    stream = await client.images.generate(model="gpt-image-1", prompt="a fish", stream=True)
    events = [event async for event in stream]
    assert [event.type for event in events] == [
        "image_generation.partial_image",
        "image_generation.completed",
    ]
    last = events[-1]
    assert last.type == "image_generation.completed" and last.usage.output_tokens == 100
    (record,) = await gateway.records(1)
    assert (record.stream, record.output_tokens, record.status) == (True, 100, 200)
    assert record.cost_nano_usd


async def test_speech_is_a_stream_of_bytes(client: AsyncOpenAI, fake: FakeMedia, gateway: Gateway) -> None:
    speech = client.audio.speech.with_streaming_response
    asked: Any = {"model": "gpt-4o-mini-tts", "voice": "alloy", "input": "Hello", "response_format": "wav"}
    async with speech.create(**asked) as response:
        heard = b"".join([piece async for piece in response.iter_bytes()])
        assert response.headers["content-type"] == "audio/wav"
        assert response.headers["transfer-encoding"] == "chunked"
        assert response.headers["x-coo-model"] == "gpt-4o-mini-tts"
    assert heard == SOUND
    assert fake.requests[-1].json() == asked
    (record,) = await gateway.records(1)
    assert (record.operation, record.stream, record.status, record.partial) == ("speech", False, 200, False)
    assert record.cost_nano_usd is None and record.first_token_ms is not None


async def test_speech_in_events(client: AsyncOpenAI, gateway: Gateway) -> None:
    asked: Any = {"model": "gpt-4o-mini-tts", "voice": "alloy", "input": "Hello", "stream_format": "sse"}
    async with client.audio.speech.with_streaming_response.create(**asked) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        text = await response.text()
    events = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert events[-1] == "[DONE]" and '"cost":' in events[-2]
    (record,) = await gateway.records(1)
    assert (record.stream, record.output_tokens, record.estimated) == (True, 50, False)


async def test_a_ranking(gateway: Gateway, fake: FakeMedia) -> None:
    for path in ("/v1/rerank", "/api/v1/rerank"):
        status, body, headers = await post(gateway, path, RANKING)
        assert status == 200, body
        assert body["results"] == [{"index": 1, "relevance_score": 1.0}]
        assert body["usage"] == {"total_tokens": 12, "cost": pytest.approx(12e-6)}
        # the OpenAI provider lists the model too, but has no such endpoint
        assert headers["x-coo-provider"] == "ranks"
        assert headers["x-coo-cache"] == "off"
    assert fake.requests[-1].json() == RANKING
    record = (await gateway.records(2))[0]
    assert (record.operation, record.input_tokens, record.output_tokens) == ("rerank", 12, 0)


@pytest.mark.parametrize(
    ("path", "body", "code", "param"),
    [
        ("moderations", {}, "missing_required_parameter", "input"),
        ("moderations", {"input": 1}, "invalid_type", "input"),
        ("images/generations", {"prompt": "x"}, "missing_required_parameter", "model"),
        ("images/generations", {"model": "gpt-image-1"}, "missing_required_parameter", "prompt"),
        ("images/generations", {"model": "m", "prompt": "x", "n": "2"}, "invalid_type", "n"),
        ("audio/speech", {"model": "tts-1", "voice": "a"}, "missing_required_parameter", "input"),
        ("audio/speech", {"model": "tts-1", "input": ""}, "invalid_value", "input"),
        (
            "audio/speech",
            {"model": "tts-1", "input": "x", "api_key": "k"},
            "unsupported_parameter",
            "api_key",
        ),
        ("rerank", {"model": "reranker", "documents": ["a"]}, "missing_required_parameter", "query"),
        ("rerank", {"model": "reranker", "query": "q", "documents": []}, "invalid_value", "documents"),
        ("rerank", {**RANKING, "top_n": 0}, "invalid_value", "top_n"),
        ("rerank", {**RANKING, "model": "gpt-image-1"}, "unsupported_parameter", "rerank"),
    ],
)
async def test_what_no_provider_could_accept(
    gateway: Gateway, fake: FakeMedia, path: str, body: Any, code: str, param: str
) -> None:
    status, answer, headers = await post(gateway, f"/v1/{path}", body)
    assert (status, answer["error"]["code"], answer["error"]["param"]) == (400, code, param)
    assert headers["x-coo-error-source"] == "caller"
    assert fake.requests == []


async def test_the_providers_own_refusal(client: AsyncOpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        await client.images.generate(model="gpt-image-1", prompt="x", user="someone")
    assert "Unrecognized request argument supplied: user" in refused.value.message


@pytest.mark.parametrize("status", [429, 500])
async def test_another_key_is_tried(
    client: AsyncOpenAI, fake: FakeMedia, gateway: Gateway, status: int
) -> None:
    fake.script.append(Fault(status))
    asked: Any = {"model": "gpt-4o-mini-tts", "voice": "alloy", "input": "Hello"}
    async with client.audio.speech.with_streaming_response.create(**asked) as response:
        assert await response.read() == SOUND
        assert response.headers["x-coo-attempts"] == "2"
    (record,) = await gateway.records(1)
    assert [attempt.status for attempt in record.attempts] == [status, 200]


async def test_a_client_with_a_budget(fake: FakeMedia, tmp_path: Path) -> None:
    unpriced = provider(fake, id="free", models=["dall-e-3"], api_keys=["good-key"])
    del unpriced["pricing"]
    config = configured(unpriced, provider(fake, models=["gpt-4o-mini-tts"], api_keys=["good-key"]))
    config["api_keys"] = [{"id": "one", "key": KEY, "budget": {"usd": 0.0025}}]
    async with running(config, tmp_path) as gateway:
        status, body, _ = await post(gateway, "/v1/images/generations", {"model": "dall-e-3", "prompt": "x"})
        assert (status, body["error"]["code"]) == (403, "price_unknown")
        # what a sound costs is not known afterwards either: what was reserved for it is taken as spent
        speech = {"model": "gpt-4o-mini-tts", "voice": "a", "input": "Hello"}
        url = f"{gateway.url}/v1/audio/speech"
        async with gateway.session.post(url, json=speech, headers=gateway.headers) as response:
            assert response.status == 200 and await response.read() == SOUND
        status, body, _ = await post(gateway, "/v1/audio/speech", speech)
        assert (status, body["error"]["code"]) == (429, "insufficient_quota")
        assert (await gateway.records(2))[1].cost_nano_usd is None


async def test_prices_by_the_image(fake: FakeMedia, tmp_path: Path) -> None:
    """A budget has room for two images of four cents, and is charged for each one that was made."""
    by_image = {"image_cost": 0.04}
    config = configured(provider(fake, models=["dall-e-3"], api_keys=["good-key"], pricing=by_image))
    config["api_keys"] = [{"id": "one", "key": KEY, "budget": {"usd": 0.10}}]
    async with running(config, tmp_path) as gateway:
        image = {"model": "dall-e-3", "prompt": "x"}
        status, body, headers = await post(gateway, "/v1/images/generations", {**image, "n": 2})
        assert (status, headers["x-coo-cost"]) == (200, "0.08") and "usage" not in body
        status, body, _ = await post(gateway, "/v1/images/generations", image)
        assert (status, body["error"]["code"]) == (429, "insufficient_quota")
        record = (await gateway.records(2))[-1]
        assert (record.units, record.cost_nano_usd, record.estimated) == ({"images": 2}, 80_000_000, True)
        chat = {"model": "dall-e-3", "messages": [{"role": "user", "content": "x"}]}
        status, body, _ = await post(gateway, "/v1/chat/completions", chat)
        assert (status, body["error"]["code"]) == (403, "price_unknown")


async def test_prices_by_the_character_and_the_search(fake: FakeMedia, tmp_path: Path) -> None:
    """Speech is billed whole by what was to be said; a ranking by the search, and by its tokens too."""
    models = [
        {"name": "gpt-4o-mini-tts", "pricing": {"character_cost": 0.015}},
        {"name": "reranker", "pricing": {"search_cost": 0.002, **PRICES}},
    ]
    ranks = {"type": "custom", "endpoints": ["rerank", "speech"]}
    async with running(configured(provider(fake, models=models, **ranks)), tmp_path) as gateway:
        speech = {"model": "gpt-4o-mini-tts", "voice": "a", "input": "Gr\u00fcezi"}
        url = f"{gateway.url}/v1/audio/speech"
        async with gateway.session.post(url, json=speech, headers=gateway.headers) as response:
            assert await response.read() == SOUND
        spoken = (await gateway.records(1))[0]
        assert (spoken.units, spoken.cost_nano_usd) == ({"characters": 6}, 90_000)
        status, body, headers = await post(gateway, "/v1/rerank", RANKING)
        assert (status, headers["x-coo-cost"], body["usage"]["cost"]) == (200, "0.002012", 0.002012)
        ranked = (await gateway.records(2))[0]
        assert (ranked.units, ranked.cost_nano_usd, ranked.input_tokens) == ({"searches": 1}, 2_012_000, 12)


async def test_what_costs_nothing_is_known_to_cost_nothing(fake: FakeMedia, tmp_path: Path) -> None:
    free = {"input_token_cost": 0, "output_token_cost": 0}
    config = configured(provider(fake, models=["omni-moderation-latest"], pricing=free))
    async with running(config, tmp_path) as gateway:
        status, body, headers = await post(gateway, "/v1/moderations", {"input": "x"})
        assert status == 200 and "usage" not in body and headers["x-coo-cost"] == "0"
        assert (await gateway.records(1))[0].cost_nano_usd == 0


async def test_who_may_use_what(fake: FakeMedia, tmp_path: Path) -> None:
    config = configured(provider(fake))
    config["api_keys"] = [{"id": "one", "key": KEY, "allowed_models": ["gpt-image-1"]}]
    async with running(config, tmp_path) as gateway:
        status, body, _ = await post(gateway, "/v1/moderations", {"input": "x"})
        assert (status, body["error"]["code"]) == (403, "model_not_allowed")
        gateway.headers["authorization"] = "Bearer other"
        status, body, _ = await post(gateway, "/v1/moderations", {"input": "x"})
        assert (status, body["error"]["code"]) == (401, "invalid_api_key")


async def test_nothing_is_cached(gateway: Gateway, fake: FakeMedia) -> None:
    await gateway.reload(policy={"cache": {"enabled": True}})
    for _ in range(2):
        _, body, headers = await post(gateway, "/v1/rerank", RANKING)
        assert headers["x-coo-cache"] == "off" and body["results"]
    assert len(fake.requests) == 2
