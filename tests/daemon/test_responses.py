"""The Responses API through a whole gateway: fidelity, failures, limits, the cache, records, stored state."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from openai import APIError, AsyncOpenAI

from tests.clients.world import CHAT, serving
from tests.daemon.running import KEY, Gateway, configured, openai, running, until
from tests.dialects.responses.events import read, told
from tests.fakes.nasty import NastyServer, Step
from tests.fakes.openai import FakeOpenAI
from tests.fakes.openai_responses import named_event, response_events, whole_response
from tests.fakes.steps import LAST_CHUNK, answer, broken_stream, chunks, open_stream, send, stall, stream
from tests.fakes.upstream import Fault

PRICES = {"input_token_cost": 0.001, "output_token_cost": 0.01}
ECHO = {"id": "spare", "type": "echo", "model": "gpt-4o"}
QUICK = {"retry": {"interval": "1ms"}}
WHOLE = whole_response({"model": "gpt-4o", "input": "Hello, you"}, lambda prefix: f"{prefix}{1:020d}", 0)
EVENTS = list(response_events(WHOLE))
BEGUN, SAID, REST = EVENTS[:4], EVENTS[4:5], EVENTS[5:]
FAILED = {**WHOLE, "status": "failed", "output": [], "error": {"code": "server_error", "message": "Oops."}}


async def post(gateway: Gateway, asked: Any, **headers: str) -> tuple[int, bytes, Any]:
    url = f"{gateway.url}/v1/responses"
    async with gateway.session.post(url, json=asked, headers={**gateway.headers, **headers}) as response:
        return response.status, await response.read(), response.headers


def asked(**more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "input": "Hello", **more}


def nasty_openai(server: NastyServer, **settings: Any) -> dict[str, Any]:
    return openai(server.url, pricing=PRICES, **settings)


async def heard(peer: Any) -> None:
    """Lets what was sent before become a read of its own."""
    await asyncio.sleep(0)


async def test_a_request_arrives_as_it_was_sent(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    async with running(configured(openai(fake_openai.url)), tmp_path) as gateway:
        sent = asked(
            input=[{"role": "user", "content": [{"type": "input_text", "text": "é"}]}],
            metadata={"a": "b"},
            include=["reasoning.encrypted_content"],
            stream=True,
            stream_options={"include_obfuscation": False},
        )
        status, _, _ = await post(gateway, sent)
        assert status == 200
        assert fake_openai.requests[-1].json() == sent
        assert fake_openai.requests[-1].path == "/v1/responses"


async def test_an_answer_comes_back_byte_for_byte_but_for_the_cost(
    nasty: NastyServer, tmp_path: Path
) -> None:
    raw = orjson.dumps({**WHOLE, "some_new_field": 1.0})
    events = [b": hi\n\n", *EVENTS[:-1], named_event({**orjson.loads(EVENTS[-1].partition(b"data: ")[2])})]
    nasty.script(answer(200, raw), stream(events, cut=7))
    async with running(configured(nasty_openai(nasty)), tmp_path) as gateway:
        _, body, headers = await post(gateway, asked())
        cost = b'"usage":{"cost":%s,' % headers["x-coo-cost"].encode()
        assert body == raw.replace(b'"usage":{', cost)
        _, streamed, _ = await post(gateway, asked(stream=True))
        *begun, last = events
        assert streamed == b"".join(begun) + last.replace(b'"usage":{', cost)
        records = await gateway.records(2)
        assert [record.operation for record in records] == ["responses", "responses"]
        usage = WHOLE["usage"]
        for record in records:
            assert (record.input_tokens, record.output_tokens) == (
                usage["input_tokens"],
                usage["output_tokens"],
            )
            assert not record.estimated and record.cost_nano_usd == round(float(headers["x-coo-cost"]) * 1e9)


BEFORE_CONTENT: dict[str, tuple[Step, ...]] = {
    "reset": broken_stream(BEGUN),
    "ended": stream(BEGUN),
    "failed": stream([*BEGUN, named_event({"type": "response.failed", "response": FAILED})]),
    "error": stream([*BEGUN, named_event({"type": "error", "message": "Oops."})]),
    "429": answer(429),
    "500": answer(500),
}


@pytest.mark.parametrize("case", BEFORE_CONTENT)
async def test_a_failure_before_the_first_content_is_not_seen(
    case: str, nasty: NastyServer, tmp_path: Path
) -> None:
    """Nor is it seen that the provider in its place has no Responses API."""
    nasty.default = BEFORE_CONTENT[case]
    config = configured(nasty_openai(nasty), ECHO, policy={**QUICK, "algorithm": "round_robin"})
    config["model_aliases"] = {"both": ["up:gpt-4o", "spare:gpt-4o"]}
    async with running(config, tmp_path) as gateway:
        for _ in range(2):  # each of the two is the first once
            status, body, headers = await post(gateway, asked(model="both", stream=True))
            assert (status, headers["x-coo-provider"]) == (200, "spare")
            assert told(body)["output"][0]["content"][0]["text"] == "Hello"
        assert nasty.requests


AFTER_CONTENT: dict[str, tuple[Step, ...]] = {
    "reset": broken_stream([*BEGUN, *SAID]),
    "ended": (open_stream(), chunks(*BEGUN, *SAID), heard, send(LAST_CHUNK)),
    "failed": (
        open_stream(),
        chunks(*BEGUN, *SAID),
        heard,
        chunks(named_event({"type": "response.failed", "response": FAILED})),
        send(LAST_CHUNK),
    ),
}


@pytest.mark.parametrize("case", AFTER_CONTENT)
async def test_a_failure_after_it_is_the_last_event(case: str, nasty: NastyServer, tmp_path: Path) -> None:
    nasty.default = AFTER_CONTENT[case]
    async with running(configured(nasty_openai(nasty), policy=QUICK), tmp_path) as gateway:
        status, body, _ = await post(gateway, asked(stream=True))
        assert status == 200
        assert body.startswith(b"".join([*BEGUN, *SAID]))
        last = json.loads(body.rpartition(b"data: ")[2])
        assert (last["type"], last["code"], last["param"]) == ("error", "upstream_error", None)
        assert last["error"]["type"] == "api_error" and b"response.completed" not in body
        [record] = await gateway.records(1)
        assert record.partial and record.error == "upstream_error"
        assert record.estimated is (case != "failed")
        settings: Any = {"base_url": f"{gateway.url}/v1", "api_key": KEY, "max_retries": 0}
        async with AsyncOpenAI(**settings) as client:
            with pytest.raises(APIError) as caught:
                async for _ in await client.responses.create(**asked(stream=True)):
                    pass
        assert caught.value.code == "upstream_error"


async def test_a_translated_stream_that_breaks_ends_with_the_next_number(
    nasty: NastyServer, tmp_path: Path
) -> None:
    nasty.default = broken_stream([_chat_chunk("Hel"), _chat_chunk("lo")])
    provider = {**nasty_openai(nasty), "type": "custom"}
    async with running(configured(provider, policy=QUICK), tmp_path) as gateway:
        _, body, _ = await post(gateway, asked(stream=True))
        assert read(body)[-1]["code"] == "upstream_error"


def _chat_chunk(text: str) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    value = {"id": "chatcmpl-1", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + orjson.dumps(value) + b"\n\n"


async def test_a_comment_while_the_upstream_is_silent(nasty: NastyServer, tmp_path: Path) -> None:
    go_on = asyncio.Event()
    nasty.default = (open_stream(), chunks(*BEGUN), stall(go_on), chunks(*SAID, *REST), send(LAST_CHUNK))
    config = configured(nasty_openai(nasty), server={"sse_keepalive": "20ms"})
    async with running(config, tmp_path) as gateway:
        url = f"{gateway.url}/v1/responses"
        async with gateway.session.post(url, json=asked(stream=True), headers=gateway.headers) as response:
            first = await response.content.readuntil(b"\n\n")
            assert first == b": keepalive\n\n"
            go_on.set()
            assert (await response.read()).endswith(b"\n\n")


@pytest.mark.parametrize("kind", ["openai", "claude"])
async def test_the_operators_limit_lowers_the_clients(kind: str, tmp_path: Path) -> None:
    async with serving(tmp_path) as world:
        for provider in world.gateway.config["llm_providers"]:
            provider["limits"] = {"max_tokens": 20}
        await world.gateway.reload(llm_providers=world.gateway.config["llm_providers"])
        sent = {"model": CHAT[kind], "input": "Hello " * 40, "max_output_tokens": 500}
        status, body, headers = await post(world.gateway, sent)
        assert (status, headers["x-coo-clamped"]) == (200, "max_output_tokens")
        name = "max_output_tokens" if kind == "openai" else "max_tokens"
        assert world.fakes[kind].requests[-1].json()[name] == 20
        assert json.loads(body)["status"] == "incomplete"


async def test_a_rejected_parameter_has_the_clients_name(nasty: NastyServer, tmp_path: Path) -> None:
    error = {"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum"}
    nasty.default = answer(400, orjson.dumps({"type": "error", "error": error}))
    provider = {**nasty_openai(nasty), "type": "claude"}
    async with running(configured(provider), tmp_path) as gateway:
        status, body, _ = await post(gateway, asked())
        sent = json.loads(body)["error"]
        assert (status, sent["code"], sent["param"]) == (400, "context_length_exceeded", "input")


async def test_a_rate_limited_provider_is_passed_over(tmp_path: Path) -> None:
    aliases = {"pool": [CHAT["openai"], CHAT["claude"]]}
    async with serving(tmp_path, model_aliases=aliases, policy={"algorithm": "round_robin"}) as world:
        limit = Fault(429, headers={"retry-after": "30"})
        world.fakes["openai"].script.extend([limit] * 4)
        for stream in (False, True):
            status, body, headers = await post(
                world.gateway, {"model": "pool", "input": "Hello", "stream": stream}
            )
            assert (status, headers["x-coo-provider"]) == (200, "claude")
            assert b"Echo: Hello" in body or told(body)["output"][0]["content"][0]["text"] == "Echo: Hello"
        assert len(world.fakes["openai"].requests) == 1


@pytest.mark.parametrize("first", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("kind", ["openai", "claude", "gemini"])
async def test_a_cached_answer_is_given_in_either_form(kind: str, first: bool, tmp_path: Path) -> None:
    policy = {"cache": {"enabled": True, "ttl_seconds": 60}}
    async with serving(tmp_path, policy=policy) as world:
        sent = {"model": CHAT[kind], "input": "Hello"}
        answers = []
        for place, stream in enumerate((first, not first, first)):
            status, body, headers = await post(world.gateway, {**sent, "stream": stream})
            assert (status, headers["x-coo-cache"]) == (200, "hit" if place else "miss")
            response = told(body) if stream else json.loads(body)
            cost = response["usage"].pop("cost")
            assert (cost == 0) is bool(place)
            answers.append(response)
        assert answers[0] == answers[1] == answers[2]
        assert len(world.fakes[kind].requests) == 1


@pytest.mark.parametrize("kind", ["openai", "claude"])
async def test_identical_requests_share_one_call(kind: str, tmp_path: Path) -> None:
    async with serving(tmp_path, policy={"cache": {"enabled": True}}) as world:
        gate = world.fakes[kind].gate = asyncio.Event()
        sent = {"model": CHAT[kind], "input": "Hello", "stream": True}
        both = [asyncio.create_task(post(world.gateway, sent)) for _ in range(2)]
        await until(lambda: world.gateway.live.in_flight == 2)
        gate.set()
        results = await asyncio.gather(*both)
        assert sorted(headers["x-coo-cache"] for _, _, headers in results) == ["coalesced", "miss"]
        responses = [told(body) for _, body, _ in results]
        for response in responses:
            del response["usage"]["cost"]
        assert responses[0] == responses[1]
        assert len(world.fakes[kind].requests) == 1


async def test_what_is_stored_may_be_named_where_the_operator_says_so(
    fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    async with running(configured(openai(fake_openai.url, stateful=True)), tmp_path) as gateway:
        _, body, _ = await post(gateway, asked())
        before = json.loads(body)["id"]
        status, body, _ = await post(gateway, asked(input="Go on", previous_response_id=before))
        assert (status, json.loads(body)["previous_response_id"]) == (200, before)
        status, body, _ = await post(gateway, asked(previous_response_id="resp_9"))
        assert (status, json.loads(body)["error"]["code"]) == (400, "previous_response_not_found")


async def test_a_server_without_the_api_is_asked_for_a_chat(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    plain = openai(fake_openai.url, responses_api=False, models=["gpt-5"])
    custom = {**openai(fake_openai.url), "id": "lab", "type": "custom"}
    async with running(configured(plain, custom), tmp_path) as gateway:
        for model, limit in [("up:gpt-5", "max_completion_tokens"), ("lab:gpt-4o", "max_tokens")]:
            status, body, _ = await post(gateway, asked(model=model, max_output_tokens=50))
            assert status == 200 and json.loads(body)["object"] == "response"
            assert fake_openai.requests[-1].path == "/v1/chat/completions"
            assert fake_openai.requests[-1].json()[limit] == 50
            _, body, _ = await post(gateway, asked(model=model, stream=True))
            response = told(body)
            assert response["output"][-1]["content"][0]["text"] == "Echo: Hello"
            assert response["usage"]["input_tokens"] > 0 and "cost" in response["usage"]


async def test_prompts_and_answers_in_the_log(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    log = tmp_path / "coo.log"
    logging = {"content": True, "file": {"enabled": True, "path": str(log)}}
    config = configured(openai(fake_openai.url), ECHO, logging=logging)
    async with running(config, tmp_path) as gateway:
        for model in ("up:gpt-4o", "spare:gpt-4o"):
            await post(gateway, asked(model=model, input="secret of the house", stream=True))
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    shown = [line["content"] for line in lines if line["message"] == "request"]
    assert len(shown) == 2
    for content in shown:
        assert content["request"]["input"] == "secret of the house"
        assert "secret of the house" in json.dumps(content["answer"]["output"])
