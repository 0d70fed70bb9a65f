"""The echo: deterministic answers in OpenAI's shapes, and failures on order."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import jsonschema
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import Call, Kind, Served
from gateway.dialects.embeddings import unpack_base64
from gateway.dialects.sse import Splitter
from gateway_providers.echo import Echo
from gateway_providers.echo_schema import smallest

Json = dict[str, Any]
TIME = {
    "type": "function",
    "function": {
        "name": "get_time",
        "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]},
    },
}


def chat(text: Any = "Hello there", **parameters: Any) -> Call:
    messages = [{"role": "system", "content": "Be brief"}, {"role": "user", "content": text}]
    return Call("chat", "m", {"model": "alias", "messages": messages, **parameters})


def streamed(call: Call) -> Call:
    return Call(call.operation, call.model, call.body, stream=True, include_usage=True)


async def body_of(served: Served) -> bytes:
    return b"".join([piece async for piece in served.body])


async def whole(call: Call, echo: Echo | None = None) -> Json:
    served = await (echo or Echo()).serve(call, "")
    assert served.status == 200
    value: Json = orjson.loads(await body_of(served))
    return value


async def stream(call: Call, echo: Echo | None = None) -> list[Json]:
    raw = await body_of(await (echo or Echo()).serve(streamed(call), ""))
    *events, done = Splitter().feed(raw)
    assert done.data == b"[DONE]"
    return [orjson.loads(event.data) for event in events]


async def test_it_repeats_the_last_user_message() -> None:
    answer = await whole(chat())
    assert (answer["object"], answer["model"]) == ("chat.completion", "m")
    assert answer["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello there", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert answer["usage"]["prompt_tokens"] == 4
    assert answer["usage"]["completion_tokens"] == 2


async def test_the_reply_is_a_template_and_the_message_no_part_of_it() -> None:
    answer = await whole(chat("{message} {0} %s"), Echo(reply="You said: {message}!"))
    assert answer["choices"][0]["message"]["content"] == "You said: {message} {0} %s!"


async def test_parts() -> None:
    parts = [
        {"type": "text", "text": "a "},
        {"type": "image_url", "image_url": {}},
        {"type": "text", "text": "b"},
    ]
    assert (await whole(chat(parts)))["choices"][0]["message"]["content"] == "a b"


@pytest.mark.parametrize(
    "parameters",
    [{}, {"n": 3}, {"max_tokens": 1}, {"stop": ["the"]}, {"tools": [TIME], "tool_choice": "required"}],
)
async def test_a_stream_says_what_the_whole_answer_says(parameters: Json) -> None:
    call = chat("Hello  there,\nyou \u2028 two", **parameters)
    expected = await whole(call)
    *chunks, last = await stream(call)
    assert (last["choices"], last["usage"]) == ([], expected["usage"])
    assert all(chunk["usage"] is None and chunk["object"] == "chat.completion.chunk" for chunk in chunks)
    for choice in expected["choices"]:
        mine = [c for chunk in chunks for c in chunk["choices"] if c["index"] == choice["index"]]
        text = "".join(c["delta"].get("content") or "" for c in mine)
        calls = [c["delta"]["tool_calls"][0]["function"] for c in mine if "tool_calls" in c["delta"]]
        assert text == (choice["message"]["content"] or "")
        if calls:
            function = choice["message"]["tool_calls"][0]["function"]
            assert calls[0]["name"] == function["name"]
            assert "".join(call["arguments"] for call in calls) == function["arguments"]
        assert [c["finish_reason"] for c in mine if c["finish_reason"]] == [choice["finish_reason"]]


@pytest.mark.parametrize("operation", ["chat", "completions"])
async def test_its_own_reader_reads_it(operation: str) -> None:
    call = Call(operation, "m", {"messages": chat().body["messages"], "prompt": "Hello there"})
    for sent in (call, streamed(call)):
        reader = Echo().reader(sent)
        reader.feed(await body_of(await Echo().serve(sent, "")))
        reader.finish()
        assert (reader.complete, reader.fault, reader.produced) == (True, None, 11)
        assert reader.usage is not None
        assert reader.usage.output == 2


async def test_the_same_request_gives_the_same_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 7.0)
    assert await whole(chat()) == await whole(chat())
    assert (await whole(chat()))["id"] != (await whole(chat("Other")))["id"]


async def test_limits_and_stops() -> None:
    async def said(call: Call) -> tuple[str, str]:
        choice = (await whole(call))["choices"][0]
        return choice["message"]["content"], choice["finish_reason"]

    assert await said(chat("a b c", max_tokens=2)) == ("a b ", "length")
    assert await said(chat("a b c", max_completion_tokens=3)) == ("a b c", "stop")
    ceiling = Call("chat", "m", chat("a b c").body, max_tokens=1)
    assert await said(ceiling) == ("a ", "length")
    assert await said(chat("a b c", stop="b")) == ("a ", "stop")
    assert await said(chat("a b c", stop=["c", "b"])) == ("a ", "stop")


@pytest.mark.parametrize(
    ("text", "choice", "reason"),
    [
        ("please get_time now", None, "tool_calls"),
        ("hello", "required", "tool_calls"),
        ("hello", {"type": "function", "function": {"name": "get_time"}}, "stop"),
    ],
)
async def test_tools(text: str, choice: object, reason: str) -> None:
    answer = (await whole(chat(text, tools=[TIME], tool_choice=choice)))["choices"][0]
    assert answer["finish_reason"] == reason
    assert answer["message"]["content"] is None
    (call,) = answer["message"]["tool_calls"]
    assert (call["type"], call["function"]) == ("function", {"name": "get_time", "arguments": '{"zone":""}'})


async def test_no_tools() -> None:
    for parameters in ({"tool_choice": "none"}, {"tool_choice": "auto"}):
        answer = (await whole(chat("say hello", tools=[TIME], **parameters)))["choices"][0]
        assert answer["message"]["content"] == "say hello"
    answer = (await whole(chat("get_time", tools=[TIME], tool_choice="none")))["choices"][0]
    assert answer["message"]["content"] == "get_time"


async def test_a_tools_result_is_not_answered_with_another_call() -> None:
    messages = [*chat("get_time").body["messages"], {"role": "tool", "tool_call_id": "c", "content": "noon"}]
    answer = await whole(Call("chat", "m", {"messages": messages, "tools": [TIME]}))
    assert answer["choices"][0]["message"]["content"] == "get_time"


async def test_json() -> None:
    async def said(wanted: Json) -> object:
        return orjson.loads((await whole(chat(response_format=wanted)))["choices"][0]["message"]["content"])

    assert await said({"type": "json_object"}) == {"message": "Hello there"}
    schema = {"type": "object", "properties": {"a": {"enum": ["x", "y"]}}, "required": ["a"]}
    assert await said({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}) == {"a": "x"}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
        {"type": "array", "items": {"type": ["string", "null"], "minLength": 2}, "minItems": 2},
        {"type": "number", "minimum": 3},
        {"type": "number", "exclusiveMaximum": -3},
        {"type": "integer", "exclusiveMinimum": 5, "maximum": 9},
        {"anyOf": [{"type": "null"}, {"type": "string"}]},
        {"oneOf": [{"const": 7}, {"type": "string"}]},
        {
            "allOf": [
                {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]},
                {"type": "object"},
            ]
        },
        {"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "boolean"}}},
        {"type": "string", "default": "d"},
        {"properties": {"a": {"type": "boolean"}}, "required": ["a"]},
        {"type": "null"},
        {},
    ],
)
def test_the_smallest_value_is_valid(schema: Json) -> None:
    jsonschema.validate(smallest(schema), schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]},
        {"type": "object", "properties": {key: {"$ref": "#"} for key in "abcdef"}, "required": [*"abcdef"]},
        {"type": "array", "minItems": 10**9, "items": {"$ref": "#"}},
        {"type": "array", "minItems": 10**9},
        {"type": "string", "minLength": 10**9},
    ],
)
def test_schemas_without_an_end_give_small_values(schema: Json) -> None:
    assert len(orjson.dumps(smallest(schema))) < 100_000


@pytest.mark.parametrize(
    "schema",
    [
        None,
        {"$ref": "#/nowhere"},
        {"$ref": "#/a/b"},
        {"$ref": 7},
        {"type": []},
        {"type": "string", "minLength": "x"},
        {"type": "object", "required": [[]]},
        {"anyOf": [7]},
    ],
)
def test_no_schemas(schema: object) -> None:
    assert smallest(schema) is None


@pytest.mark.parametrize(
    ("prompt", "texts"),
    [
        ("a b", ["a b"]),
        (["a", "b"], ["a", "b"]),
        ([1, 2, 3], ["3 tokens"]),
        ([[1], [2, 3]], ["1 tokens", "2 tokens"]),
    ],
)
async def test_completions(prompt: object, texts: list[str]) -> None:
    call = Call("completions", "m", {"prompt": prompt, "n": 2})
    answer = await whole(call)
    assert answer["object"] == "text_completion"
    assert [choice["text"] for choice in answer["choices"]] == [text for text in texts for _ in range(2)]
    chunks = await stream(call)
    assert chunks[0]["object"] == "text_completion"
    assert "".join(c["text"] for chunk in chunks for c in chunk["choices"] if c["index"] == 0) == texts[0]
    assert chunks[-1]["usage"] == answer["usage"]


async def test_embeddings() -> None:
    def call(value: object, **parameters: Any) -> Call:
        return Call("embeddings", "m", {"input": value, **parameters})

    answer = await whole(call(["a b", "c"], dimensions=3))
    vectors = [item["embedding"] for item in answer["data"]]
    assert [len(vector) for vector in vectors] == [3, 3]
    assert vectors[0] != vectors[1]
    assert sum(number * number for number in vectors[0]) == pytest.approx(1)
    assert answer["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    packed = await whole(call(["a b", "c"], dimensions=3, encoding_format="base64"))
    assert [unpack_base64(item["embedding"]) for item in packed["data"]] == vectors
    assert (await whole(call([1, 2])))["usage"]["prompt_tokens"] == 2
    assert len((await whole(call([[1], [2, 3]])))["data"]) == 2
    assert len((await whole(call("a")))["data"][0]["embedding"]) == 64


@given(st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]))
def test_failures_are_spread_evenly(rate: float) -> None:
    echo = Echo(failure_rate=rate)
    failed = [echo._fails() for _ in range(40)]
    assert sum(failed) == round(40 * rate)
    assert all(abs(sum(failed[:count]) - count * rate) <= 1 for count in range(40))


async def test_failures_on_order() -> None:
    echo = Echo(failure_rate=0.5, error_status=503)
    served = [await echo.serve(chat(), "") for _ in range(4)]
    assert [answer.status for answer in served] == [200, 503, 200, 503]
    body = await body_of(served[1])
    assert echo.diagnose(503, served[1].headers, body).kind is Kind.FAILED
    assert orjson.loads(body)["error"]["message"]


async def test_the_rate_limit_slides(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    echo = Echo(rate_limit_per_minute=2)
    assert [(await echo.serve(chat(), "")).status for _ in range(2)] == [200, 200]
    now = 130.5
    refused = await echo.serve(chat(), "")
    assert (refused.status, refused.headers["retry-after"]) == (429, "30")
    outcome = echo.diagnose(429, refused.headers, await body_of(refused))
    assert (outcome.kind, outcome.retry_after) == (Kind.LIMITED, 30)
    now = 160.5
    assert [(await echo.serve(chat(), "")).status for _ in range(3)] == [200, 200, 429]


async def test_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    echo = Echo(first_token_ms=200, token_ms=10)
    events = await stream(chat("a b"), echo)
    assert slept == [0.2] + [0.01] * len(events)  # [DONE] is the last
    slept.clear()
    await whole(chat("a b"), echo)
    await whole(Call("embeddings", "m", {"input": "a"}), echo)
    assert slept == [0.22, 0.2]
    slept.clear()
    await whole(chat())
    assert slept == []


def test_two_echoes_with_the_same_settings_are_equal_but_count_apart() -> None:
    one, other = Echo(failure_rate=0.5), Echo(failure_rate=0.5)
    assert [one._fails() for _ in range(3)] == [False, True, False]
    assert one == other
    assert other._fails() is False
    assert "_traffic" not in repr(one)


def test_nothing_is_sent() -> None:
    upstream = Echo().prepare(chat(), "secret")
    assert (upstream.url, upstream.headers) == ("echo:", [])
