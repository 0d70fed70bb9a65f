"""What the gateway adds to Messages: errors in Anthropic's shape, failing over, cache, signs of life."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import anthropic
import orjson
import pytest
from anthropic import AsyncAnthropic

from tests.clients.world import CHAT, World, serving
from tests.daemon.running import KEY, Gateway, configured, openai, running, until
from tests.fakes.chat import chat_stream_events
from tests.fakes.nasty import NastyServer
from tests.fakes.openai import FakeOpenAI
from tests.fakes.steps import answer, broken_stream
from tests.fakes.upstream import Fault

HELLO: dict[str, Any] = {"max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}
POOL = {"model_aliases": {"any": [CHAT["claude"], CHAT["openai"]]}}


def client_of(gateway: Gateway, key: str = KEY) -> AsyncAnthropic:
    return AsyncAnthropic(base_url=gateway.url, api_key=key, max_retries=0)


async def post(
    gateway: Gateway, body: Any = HELLO, *, path: str = "/v1/messages", method: str = "POST", key: str = KEY
) -> tuple[int, bytes, Mapping[str, str]]:
    data = BytesIO(body if isinstance(body, bytes) else orjson.dumps(body))
    headers = {"x-api-key": key}
    async with gateway.session.request(method, gateway.url + path, data=data, headers=headers) as response:
        return response.status, await response.read(), response.headers


def events_of(stream: bytes) -> list[tuple[str, dict[str, Any]]]:
    """Name and data of every event."""

    def split() -> Iterator[tuple[str, dict[str, Any]]]:
        for event in stream.decode().split("\n\n")[:-1]:
            name, _, data = event.partition("\n")
            yield name.removeprefix("event: "), orjson.loads(data.removeprefix("data: "))

    return [*split()]


def text_of(stream: bytes) -> str:
    deltas = [data["delta"] for name, data in events_of(stream) if name == "content_block_delta"]
    return "".join(delta["text"] for delta in deltas)


@pytest.mark.parametrize(
    ("request_", "status", "kind", "code"),
    [
        ({"key": "wrong"}, 401, "authentication_error", "invalid_api_key"),
        ({"path": "/api/v1/messages", "key": "wrong"}, 401, "authentication_error", "invalid_api_key"),
        ({"method": "GET"}, 405, "invalid_request_error", "method_not_allowed"),
        ({"path": "/v1/messages/batches"}, 404, "not_found_error", "unknown_url"),
        ({"body": b"{"}, 400, "invalid_request_error", "invalid_json"),
        ({"body": b" " * 1_100_000}, 413, "request_too_large", "request_too_large"),
        ({"body": {**HELLO, "model": "nobody"}}, 404, "not_found_error", "model_not_found"),
        ({"body": {"model": "m"}}, 400, "invalid_request_error", "missing_required_parameter"),
        ({"body": {"model": "m"}, "path": "/v1/messages/count_tokens"}, 400, "invalid_request_error",
         "missing_required_parameter"),
        ({"body": {**HELLO, "model": "m", "api_base": "http://x"}}, 400, "invalid_request_error",
         "unsupported_parameter"),
        ({"key": "few-key", "body": {**HELLO, "model": CHAT["openai"]}}, 403, "permission_error",
         "model_not_allowed"),
    ],
)  # fmt: skip
async def test_errors_are_in_anthropics_shape(
    request_: dict[str, Any], status: int, kind: str, code: str, tmp_path: Path
) -> None:
    clients = [{"id": "one", "key": KEY}, {"id": "few", "key": "few-key", "allowed_models": ["other"]}]
    async with serving(tmp_path, api_keys=clients, server={"max_body_mb": 1}) as world:
        got, body, headers = await post(world.gateway, **request_)
        assert got == status
        value = orjson.loads(body)
        assert value.pop("request_id") == headers["request-id"] == headers["x-request-id"]
        assert headers["x-coo-error-source"]
        assert (value["type"], value["error"]["type"]) == ("error", kind)
        assert value["error"]["details"]["error_code"] == code
        assert set(value["error"]) == {"type", "message", "details"}


async def test_the_sdk_raises_what_it_should(tmp_path: Path) -> None:
    clients = [{"id": "one", "key": KEY}, {"id": "slow", "key": "slow-key", "limits": {"req_per_min": 1}}]
    async with serving(tmp_path, api_keys=clients) as world:
        async with client_of(world.gateway, "wrong") as client:
            with pytest.raises(anthropic.AuthenticationError):
                await client.messages.create(model=CHAT["openai"], **HELLO)
        async with client_of(world.gateway, "slow-key") as client:
            await client.messages.create(model=CHAT["openai"], **HELLO)
            with pytest.raises(anthropic.RateLimitError, match="1 requests a minute") as limited:
                await client.messages.create(model=CHAT["openai"], **HELLO)
            assert int(limited.value.response.headers["retry-after"]) > 0
        async with client_of(world.gateway) as client:
            world.fakes["openai"].script.append(Fault(400, "that will not do"))
            with pytest.raises(anthropic.BadRequestError, match="that will not do"):
                await client.messages.create(model=CHAT["openai"], **HELLO)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_at_its_limit_is_not_seen(stream: bool, tmp_path: Path) -> None:
    async with serving(tmp_path, **POOL, policy={"algorithm": "round_robin"}) as world:
        world.fakes["claude"].script.append(Fault(429))
        status, body, headers = await post(world.gateway, {**HELLO, "model": "any", "stream": stream})
        assert (status, headers["x-coo-provider"], headers["x-coo-attempts"]) == (200, "openai", "2")
        text = text_of(body) if stream else orjson.loads(body)["content"][0]["text"]
        assert text == "Echo: Hello"
        attempts = (await world.gateway.records(1))[0].attempts
        assert [(one.provider, one.outcome) for one in attempts] == [("claude", "limited"), ("openai", "ok")]


async def test_when_all_attempts_are_spent_the_sdk_does_not_multiply_them(tmp_path: Path) -> None:
    policy = {"retry": {"max_attempts": 2, "interval": "1ms"}, "fallback": {"enabled": False}}
    async with serving(tmp_path, policy=policy) as world:
        fake = world.fakes["claude"]
        fake.script.extend([Fault(500), Fault(500)])
        client = AsyncAnthropic(base_url=world.gateway.url, api_key=KEY, max_retries=5)
        async with client:
            with pytest.raises(anthropic.InternalServerError) as caught:
                await client.messages.create(model=CHAT["claude"], **HELLO)
        assert (caught.value.status_code, len(fake.requests)) == (502, 2)


CUT = [
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message",'
    b'"role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,'
    b'"usage":{"input_tokens":3,"output_tokens":1}}}\n\n',
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"text","text":""}}\n\n',
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"Hel"}}\n\n',
]


@pytest.mark.parametrize(
    ("kind", "events"), [("openai", chat_stream_events(finish=None, done=False)), ("claude", CUT)]
)
async def test_a_begun_stream_that_breaks_ends_with_one_error_event(
    kind: str, events: list[bytes], tmp_path: Path
) -> None:
    async with NastyServer(broken_stream(events)) as nasty:
        provider = {**openai(nasty.url), "type": kind, "model": "m"}
        async with running(configured(provider), tmp_path) as gateway:
            status, body, _ = await post(gateway, {**HELLO, "model": "up:m", "stream": True})
            names = [name for name, _ in events_of(body)]
            assert (status, names[0], names.count("error"), names[-1]) == (200, "message_start", 1, "error")
            assert "message_stop" not in names
            error = events_of(body)[-1][1]["error"]
            assert (error["type"], error["details"]["error_code"]) == ("api_error", "upstream_error")
            async with client_of(gateway) as client:
                with pytest.raises(anthropic.APIStatusError):
                    async with client.messages.stream(model="up:m", **HELLO) as stream:
                        await stream.get_final_message()
            record = (await gateway.records(2))[0]
            assert (record.status, record.error, record.partial) == (200, "upstream_error", True)


@pytest.mark.parametrize("kind", ["openai", "claude"])
async def test_a_silent_upstream_is_bridged_by_pings(kind: str, tmp_path: Path) -> None:
    async with serving(tmp_path, server={"sse_keepalive": "20ms"}) as world:
        fake = world.fakes[kind]
        fake.gate = asyncio.Event()
        asked = {**HELLO, "model": CHAT[kind], "stream": True}
        url, headers = f"{world.gateway.url}/v1/messages", {"x-api-key": KEY}
        async with world.gateway.session.post(url, json=asked, headers=headers) as response:
            first = await response.content.readuntil(b"\n\n")
            assert first == b'event: ping\ndata: {"type":"ping"}\n\n'
            fake.gate.set()
            names = [name for name, _ in events_of(await response.read())]
        told = [name for name in names if name != "ping"]
        assert (told[0], told[-1]) == ("message_start", "message_stop")


CACHED: dict[str, Any] = {
    "policy": {"cache": {"enabled": True, "ttl_seconds": 60}},
}


@pytest.mark.parametrize("first", [False, True], ids=["whole first", "stream first"])
@pytest.mark.parametrize("kind", ["openai", "claude"])
async def test_a_cached_answer_is_given_whole_or_as_a_stream(kind: str, first: bool, tmp_path: Path) -> None:
    async with serving(tmp_path, **CACHED) as world:
        asked = {**HELLO, "model": CHAT[kind]}
        answers, states = {}, []
        for stream in (first, not first, first):
            _, body, headers = await post(world.gateway, {**asked, "stream": stream})
            answers[stream] = body
            states.append(headers["x-coo-cache"])
        assert states == ["miss", "hit", "hit"]
        assert len(world.fakes[kind].requests) == 1
        whole, events = orjson.loads(answers[False]), events_of(answers[True])
        assert text_of(answers[True]) == whole["content"][0]["text"] == "Echo: Hello"
        assert [name for name, _ in events][-2:] == ["message_delta", "message_stop"]
        last = events[-2][1]
        assert last["delta"]["stop_reason"] == whole["stop_reason"] == "end_turn"
        assert last["usage"]["cost"] == whole["usage"]["cost"] == 0
        assert last["usage"]["output_tokens"] == whole["usage"]["output_tokens"] > 0


@pytest.mark.parametrize("kind", ["openai", "claude"])
async def test_streams_in_flight_share_one_call(kind: str, tmp_path: Path) -> None:
    async with serving(tmp_path, **CACHED) as world:
        fake = world.fakes[kind]
        fake.gate = asyncio.Event()
        asked = {**HELLO, "model": CHAT[kind], "stream": True}
        one = asyncio.create_task(post(world.gateway, asked))
        await until(lambda: len(fake.requests) == 1)
        other = asyncio.create_task(post(world.gateway, asked))
        await until(lambda: world.gateway.live.in_flight == 2)
        fake.gate.set()
        (_, led, _), (_, followed, headers) = await asyncio.gather(one, other)
        assert headers["x-coo-cache"] in ("coalesced", "hit")
        names = [name for name, _ in events_of(followed)]
        assert names[0] == "message_start" and names[-2:] == ["message_delta", "message_stop"]
        assert text_of(led) == text_of(followed) == "Echo: Hello"
        assert events_of(followed)[-2][1]["usage"]["cost"] == 0
        assert events_of(led)[-2][1]["usage"]["cost"] > 0


async def test_the_operators_ceiling_is_named(tmp_path: Path) -> None:
    async with FakeOpenAI() as fake:
        provider = openai(fake.url, limits={"max_tokens": 2})
        async with running(configured(provider), tmp_path) as gateway:
            _, body, headers = await post(gateway, {**HELLO, "model": "up:gpt-4o"})
            assert headers["x-coo-clamped"] == "max_tokens"
            assert orjson.loads(body)["stop_reason"] == "max_tokens"
            assert fake.requests[-1].json()["max_completion_tokens"] == 2


async def test_loss_can_be_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, policy={"on_lossy": "refuse"}) as world:
        status, body, _ = await post(world.gateway, {**HELLO, "model": CHAT["openai"], "top_k": 3})
        assert status == 400 and "top_k" in orjson.loads(body)["error"]["message"]


async def count(world: World, model: str = CHAT["claude"]) -> tuple[int, bytes, Mapping[str, str]]:
    body = {"model": model, "messages": HELLO["messages"]}
    return await post(world.gateway, body, path="/api/v1/messages/count_tokens")


async def test_who_cannot_count_is_no_reason_to_fail(tmp_path: Path) -> None:
    policy = {"retry": {"max_attempts": 1}}
    async with serving(tmp_path, policy=policy) as world:
        world.fakes["claude"].script.extend([Fault(500), Fault(400, "not like this")])
        status, body, headers = await count(world)
        assert (status, headers["x-coo-estimated"]) == (200, "true")
        assert orjson.loads(body)["input_tokens"] > 0
        status, body, _ = await count(world)
        assert status == 400 and "not like this" in orjson.loads(body)["error"]["message"]


async def test_while_the_key_that_could_count_cools_down_others_estimate(tmp_path: Path) -> None:
    policy = {"retry": {"max_attempts": 1}, "fallback": {"providers": ["openai"]}}
    async with serving(tmp_path, policy=policy) as world:
        world.fakes["claude"].script.append(Fault(429, headers={"retry-after": "60"}))
        for _ in range(2):
            status, _, headers = await count(world)
            assert (status, headers["x-coo-estimated"]) == (200, "true")
        assert len(world.fakes["claude"].requests) == 1


async def test_counting_takes_requests_but_no_tokens(tmp_path: Path) -> None:
    limits = {"req_per_min": 2, "tokens_per_min": 1000}
    clients = [{"id": "one", "key": KEY, "limits": limits}]
    async with serving(tmp_path, api_keys=clients) as world:
        for _ in range(2):
            status, _, headers = await count(world)
            assert (status, headers["x-ratelimit-remaining-tokens"]) == (200, "1000")
        status, _, _ = await count(world)
        assert status == 429


async def test_an_answer_that_is_none(tmp_path: Path) -> None:
    nasty = NastyServer(answer(200, b'{"choices":[{"message":5}]}'))
    async with nasty, running(configured(openai(nasty.url)), tmp_path) as gateway:
        status, body, _ = await post(gateway, {**HELLO, "model": "up:gpt-4o"})
        assert status == 502
        assert orjson.loads(body)["error"]["details"]["error_code"] == "invalid_upstream_response"


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_an_upstream_within_the_gateway(prefix: str, tmp_path: Path) -> None:
    provider = {"id": "echo", "type": "echo", "model": "echo"}
    async with running(configured(provider), tmp_path) as gateway:
        asked = {**HELLO, "model": "echo"}
        _, body, _ = await post(gateway, asked, path=f"{prefix}/v1/messages")
        assert orjson.loads(body)["content"] == [{"type": "text", "text": "Hello"}]
        _, body, _ = await post(gateway, {**asked, "stream": True}, path=f"{prefix}/v1/messages")
        assert text_of(body) == "Hello"
