"""What is accounted of answers that nobody priced, that broke off, or that nobody waited for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.daemon.running import KEY, Gateway, configured, events_of, openai, running, until
from tests.fakes.chat import chat_answer, chat_stream_events, chunk
from tests.fakes.nasty import NastyServer, Step
from tests.fakes.steps import answer, broken_stream, chunks, open_stream, reset, stall, stream

PRICING = {"input_token_cost": 1, "output_token_cost": 2}
NANO_IN, NANO_OUT = 10**6, 2 * 10**6
TEXT = "x" * 400
OPENED = [chunk({"role": "assistant", "content": ""}), chunk({"content": TEXT})]


def config(nasty: NastyServer, **settings: Any) -> dict[str, Any]:
    provider = openai(nasty.url, pricing=PRICING, **settings)
    return configured(provider, policy={"retry": {"max_attempts": 2, "interval": 0}})


async def told(gateway: Gateway, model: str, streamed: bool) -> Any:
    """The usage that the client of a chat is told."""
    if not streamed:
        return (await gateway.ask(model=model))[1]["usage"]
    _, events, _ = await gateway.stream(model=model, stream_options={"include_usage": True})
    (usage,) = [event["usage"] for event in events if isinstance(event, dict) and event.get("usage")]
    return usage


async def the_record(gateway: Gateway) -> Any:
    (record,) = await gateway.records(1)
    return record


@pytest.mark.parametrize("streamed", [False, True])
async def test_without_figures_the_estimate_is_marked_as_one(
    streamed: bool, nasty: NastyServer, tmp_path: Path
) -> None:
    nasty.script(
        stream(chat_stream_events([TEXT], usage=None)) if streamed else answer(body=chat_answer(TEXT, None))
    )
    async with running(config(nasty), tmp_path) as gateway:
        status, _, headers = await (gateway.stream if streamed else gateway.ask)(model="gpt-4o")
        record = await the_record(gateway)
        assert (status, record.estimated, record.partial, record.output_tokens) == (200, True, False, 100)
        assert record.input_tokens > 0
        assert record.cost_nano_usd == record.input_tokens * NANO_IN + 100 * NANO_OUT
        if not streamed:
            assert float(headers["x-coo-cost"]) == record.cost_nano_usd / 1e9
        assert (await gateway.samples()).sum("tokens_total") == record.input_tokens + 100


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (reset, "upstream_error"),
        (chunks(b'data: {"error": {"message": "overloaded"}}\n\n'), "upstream_error"),
    ],
)
async def test_a_stream_that_breaks_is_charged_for_what_came(
    end: Step, code: str, nasty: NastyServer, tmp_path: Path
) -> None:
    got = asyncio.Event()
    nasty.script((*broken_stream(OPENED, stall(got)), end))
    async with running(config(nasty), tmp_path) as gateway:
        async with gateway.chat(stream=True, model="gpt-4o") as response:
            body = await response.content.readany()
            got.set()
            body += await response.content.read()
        assert (response.status, events_of(body)[-1]["error"]["code"]) == (200, code)
        record = await the_record(gateway)
        assert (record.status, record.error, record.partial, record.estimated) == (200, code, True, True)
        assert (record.output_tokens, len(record.attempts)) == (100, 1)
        assert record.cost_nano_usd == record.input_tokens * NANO_IN + 100 * NANO_OUT
        assert (await gateway.samples()).sum("errors_total", provider="up", code=code) == 1


async def test_a_failure_before_the_content_costs_nothing(nasty: NastyServer, tmp_path: Path) -> None:
    nasty.script(broken_stream(OPENED[:1], reset), stream())
    async with running(config(nasty), tmp_path) as gateway:
        _, events, _ = await gateway.stream(model="gpt-4o")
        assert events[-1] == "[DONE]"
        record = await the_record(gateway)
        assert [attempt.outcome for attempt in record.attempts] == ["failed", "ok"]
        assert (record.input_tokens, record.output_tokens, record.partial) == (10, 5, False)
        assert record.cost_nano_usd == 10 * NANO_IN + 5 * NANO_OUT


async def test_a_client_that_leaves_a_stream_pays_for_what_was_made(
    nasty: NastyServer, tmp_path: Path
) -> None:
    nasty.script((open_stream(), chunks(*OPENED), stall()))
    async with running(config(nasty), tmp_path) as gateway:
        async with gateway.chat(model="gpt-4o", stream=True) as response:
            await response.content.readuntil(TEXT.encode())
        record = await the_record(gateway)
        assert (record.status, record.error) == (499, "client_closed_request")
        assert (record.partial, record.estimated, record.output_tokens) == (True, True, 100)
        assert record.cost_nano_usd == record.input_tokens * NANO_IN + 100 * NANO_OUT
        assert record.first_token_ms is not None
        (attempt,) = record.attempts
        assert (attempt.outcome, attempt.status) == ("cancelled", 200)
        samples = await gateway.samples()
        assert samples.sum("requests_total", status="499") == 1
        assert samples.sum("upstream_attempts_total", outcome="cancelled") == 1
        assert samples.sum("in_flight_requests", provider="up") == 0


async def test_figures_named_before_the_client_left_count(nasty: NastyServer, tmp_path: Path) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 90, "total_tokens": 97}
    named = chunk({"content": TEXT}).replace(
        b'"choices"', b'"usage":%s,"choices"' % str(usage).replace("'", '"').encode()
    )
    nasty.script((open_stream(), chunks(OPENED[0], named), stall()))
    async with running(config(nasty), tmp_path) as gateway:
        async with gateway.chat(model="gpt-4o", stream=True) as response:
            await response.content.readuntil(TEXT.encode())
        record = await the_record(gateway)
        assert (record.input_tokens, record.output_tokens, record.estimated) == (7, 90, False)


async def test_old_figures_of_an_answer_that_broke_off_are_made_up_for(
    nasty: NastyServer, tmp_path: Path
) -> None:
    early = OPENED[0].replace(b'"choices"', b'"usage":{"prompt_tokens":7,"completion_tokens":1},"choices"')
    nasty.script(broken_stream([early, OPENED[1]], reset))
    async with running(config(nasty), tmp_path) as gateway:
        await gateway.stream(model="gpt-4o")
        record = await the_record(gateway)
        assert (record.input_tokens, record.output_tokens, record.estimated) == (7, 100, True)


@pytest.mark.parametrize("path", ["chat/completions", "messages"])
async def test_what_claude_names_at_the_start_of_a_stream_is_charged(
    path: str, nasty: NastyServer, tmp_path: Path
) -> None:
    usage = {"input_tokens": 5000, "cache_read_input_tokens": 70, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "c", "content": []}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": TEXT}}
    begun: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message, "usage": usage}},
        block,
        delta,
    ]
    events = [b"event: %b\ndata: %b\n\n" % (str(one["type"]).encode(), orjson.dumps(one)) for one in begun]
    nasty.script((open_stream(), chunks(*events), stall()))
    claude = openai(nasty.url, type="claude", model="claude-x", pricing=PRICING)
    async with running(configured(claude), tmp_path) as gateway:
        body = {
            "model": "claude-x",
            "max_tokens": 500,
            "stream": True,
            "messages": [{"role": "user", "content": "Hi"}],
        }
        async with gateway.session.post(
            f"{gateway.url}/v1/{path}", json=body, headers=gateway.headers
        ) as response:
            await response.content.readuntil(TEXT.encode())
        record = await the_record(gateway)
        assert (record.partial, record.estimated, record.cached_tokens) == (True, True, 70)
        assert (record.input_tokens, record.output_tokens) == (5070, 100)
        assert record.cost_nano_usd == 5070 * NANO_IN + 100 * NANO_OUT


@pytest.mark.parametrize("streamed", [False, True])
async def test_output_without_a_figure_is_estimated(
    streamed: bool, nasty: NastyServer, tmp_path: Path
) -> None:
    usage = {"prompt_tokens": 20}
    nasty.script(
        stream(chat_stream_events([TEXT], usage=usage)) if streamed else answer(body=chat_answer(TEXT, usage))
    )
    async with running(config(nasty), tmp_path) as gateway:
        usage = await told(gateway, "gpt-4o", streamed)
        record = await the_record(gateway)
        assert (record.input_tokens, record.output_tokens, record.estimated) == (20, 100, True)
        assert (usage["prompt_tokens"], usage["cost"] * 10**9) == (20, record.cost_nano_usd)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("metadata", [None, {"promptTokenCount": 9, "candidatesTokenCount": -1}])
async def test_an_estimate_is_told_as_it_is_recorded(
    metadata: Any, streamed: bool, nasty: NastyServer, tmp_path: Path
) -> None:
    said = {"content": {"parts": [{"text": TEXT}], "role": "model"}, "finishReason": "STOP", "index": 0}
    value: dict[str, Any] = {"candidates": [said], "modelVersion": "g", "responseId": "r"}
    if metadata is not None:
        value["usageMetadata"] = metadata
    raw = orjson.dumps(value)
    nasty.script(stream([b"data: %b\n\n" % raw]) if streamed else answer(body=raw))
    gemini = openai(nasty.url, type="gemini", model="gem", pricing=PRICING)
    async with running(configured(gemini), tmp_path) as gateway:
        usage = await told(gateway, "gem", streamed)
        record = await the_record(gateway)
        assert (record.output_tokens, record.estimated) == (100, True)
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == (record.input_tokens, 100)
        assert usage["cost"] * 10**9 == record.cost_nano_usd


@pytest.mark.parametrize("prompt", [20, "many"])
@pytest.mark.parametrize("asked", [None, False, True])
async def test_the_cost_that_a_provider_names_is_not_passed_on(
    prompt: object, asked: bool | None, nasty: NastyServer, tmp_path: Path
) -> None:
    """``asked`` for usage in a stream; None: no stream."""
    usage = {"prompt_tokens": prompt, "completion_tokens": 100, "cost": 99}
    named = orjson.dumps({"object": "chat.completion.chunk", "choices": [], "usage": usage})
    beside = chunk({"content": TEXT}, "stop").replace(
        b'"choices"', b'"usage":%b,"choices"' % orjson.dumps(usage)
    )
    streamed = stream([OPENED[0], beside, b"data: %b\n\n" % named])
    nasty.script(answer(body=chat_answer(TEXT, usage)) if asked is None else streamed)
    async with running(config(nasty), tmp_path) as gateway:
        if asked is None:
            _, value, _ = await gateway.ask(model="gpt-4o")
            found = [value["usage"]]
        else:
            options = {"stream_options": {"include_usage": True}} if asked else {}
            _, events, _ = await gateway.stream(model="gpt-4o", **options)
            found = [event["usage"] for event in events if isinstance(event, dict) and event.get("usage")]
        record = await the_record(gateway)
        assert [one["cost"] * 10**9 for one in found] == [record.cost_nano_usd] * (2 if asked else 1)
        assert record.estimated == (prompt != 20)


async def test_a_failed_request_that_is_billed_says_what_it_cost(nasty: NastyServer, tmp_path: Path) -> None:
    nasty.script(answer(body=b'{"object": "chat.completion"}'))
    async with running(config(nasty), tmp_path) as gateway:
        status, _, headers = await gateway.ask(model="gpt-4o")
        record = await the_record(gateway)
        assert (status, record.estimated) == (502, True) and record.cost_nano_usd
        assert float(headers["x-coo-cost"]) == record.cost_nano_usd / 1e9
    nasty.script(answer(500), answer(500))
    async with running(config(nasty), tmp_path) as gateway:
        status, _, headers = await gateway.ask(model="gpt-4o")
        assert status == 502 and "x-coo-cost" not in headers


async def test_figures_of_a_response_that_failed_count(nasty: NastyServer, tmp_path: Path) -> None:
    usage = {"input_tokens": 5000, "output_tokens": 600, "total_tokens": 5600}
    failed = {"id": "resp_1", "status": "failed", "error": {"code": "server_error"}, "usage": usage}
    begun: list[dict[str, Any]] = [
        {"type": "response.output_text.delta", "delta": TEXT},
        {"type": "response.failed", "response": failed},
    ]
    nasty.script(stream([b"data: %b\n\n" % orjson.dumps(one) for one in begun]))
    async with running(config(nasty), tmp_path) as gateway:
        body = {"model": "gpt-4o", "stream": True, "input": "Hello"}
        async with gateway.session.post(
            f"{gateway.url}/v1/responses", json=body, headers=gateway.headers
        ) as response:
            await response.read()
        record = await the_record(gateway)
        assert (record.input_tokens, record.output_tokens, record.partial) == (5000, 600, True)


async def test_a_client_that_leaves_before_the_answer(nasty: NastyServer, tmp_path: Path) -> None:
    nasty.script((stall(),))
    async with running(config(nasty), tmp_path) as gateway:
        asking = asyncio.create_task(gateway.ask(model="gpt-4o"))
        await nasty.arrived(1)
        asking.cancel()
        record = await the_record(gateway)
        assert (record.status, record.partial, record.estimated) == (499, True, True)
        assert (record.output_tokens, record.first_token_ms) == (0, None)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_client_that_leaves_while_the_gateway_connects_pays_nothing(
    streamed: bool, nasty: NastyServer, tmp_path: Path
) -> None:
    connected: asyncio.Future[asyncio.StreamWriter] = asyncio.Future()
    silent = await asyncio.start_server(lambda _, writer: connected.set_result(writer), "127.0.0.1")
    url = f"https://127.0.0.1:{silent.sockets[0].getsockname()[1]}"  # and never a word of TLS
    client = {"id": "one", "key": KEY, "budget": {"usd": 1, "window": "1d"}}
    async with (
        silent,
        running(configured(openai(url, pricing=PRICING), api_keys=[client]), tmp_path) as gateway,
    ):
        asking = asyncio.create_task(
            (gateway.stream if streamed else gateway.ask)(model="gpt-4o", max_tokens=9)
        )
        writer = await connected
        asking.cancel()
        record = await the_record(gateway)
        assert (record.status, record.cost_nano_usd, record.input_tokens) == (499, None, 0)
        assert [attempt.outcome for attempt in record.attempts] == ["cancelled"]
        one = gateway.live.current.clients.named("one")
        assert one is not None and [reading.used for reading in one.meter.readings()] == [0]
        writer.close()


async def test_each_of_many_at_once_is_accounted_once(nasty: NastyServer, tmp_path: Path) -> None:
    """Good, failing, retried, abandoned and refused ones together."""
    cfg = config(nasty, limits={"max_parallel": 20})
    async with running(cfg, tmp_path) as gateway:
        nasty.script(*[answer(500) for _ in range(10)])
        asking = [
            asyncio.create_task((gateway.ask if number % 2 else gateway.stream)(model="gpt-4o"))
            for number in range(60)
        ]
        await until(lambda: sum(task.done() for task in asking) > 20)
        for task in asking[::10]:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        await until(lambda: not gateway.live.in_flight)
        samples = await gateway.samples()
        counted = int(samples.sum("requests_total"))
        records = await gateway.records(counted)
        assert len({record.request_id for record in records}) == counted > 50
        cost = sum(record.cost_nano_usd or 0 for record in records)
        assert samples.sum("cost_usd_total") == pytest.approx(cost / 1e9)
        tokens = sum(record.input_tokens + record.output_tokens for record in records)
        assert samples.sum("tokens_total") == tokens
        assert samples.sum("upstream_attempts_total") == sum(len(record.attempts) for record in records)
        assert next(iter(gateway.live.memory.keys.values())).meter.in_flight == 0


async def test_a_cost_that_nobody_can_owe_is_cut_down_and_marked(nasty: NastyServer, tmp_path: Path) -> None:
    """And a count that cannot be is none."""
    prices = {"input_token_cost": 1000, "output_token_cost": 1000}
    sane = {"prompt_tokens": 3, "completion_tokens": 2}
    most = {"prompt_tokens": 10**9, "completion_tokens": 10**9}
    for usage in (most, {"prompt_tokens": 10**12, "completion_tokens": 2}, sane):
        nasty.script(answer(body=chat_answer(TEXT, usage)))
    client = {"id": "one", "key": KEY, "budget": {"usd": 10**9, "window": "1d"}}
    provider = openai(nasty.url, pricing=prices)
    async with running(configured(provider, api_keys=[client]), tmp_path) as gateway:
        for _ in range(3):
            assert (await gateway.ask(model="gpt-4o"))[0] == 200
        found = {record.input_tokens: record for record in await gateway.records(3)}
        dear, plain = found.pop(10**9), found.pop(3)
        assert (dear.cost_nano_usd, dear.estimated) == (2**53, True)
        assert (plain.cost_nano_usd, plain.estimated) == (5 * 10**9, False)
        [estimated] = found.values()
        assert estimated.estimated and estimated.input_tokens < 1000
