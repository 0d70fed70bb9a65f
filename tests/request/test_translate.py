"""Which call a provider gets for a request, and what becomes of its chunks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from multidict import CIMultiDict

from gateway.api import ApiError, Chunk, Provider, Unsupported, Usage
from gateway.request.operations import COMPLETIONS, COUNT_TOKENS, EMBEDDINGS, MESSAGES, RESPONSES, Operation
from gateway.request.transaction import Transaction
from gateway.request.translate import Bridge, Translation, translation
from gateway_providers.claude import Claude
from gateway_providers.gemini import Gemini
from gateway_providers.openai import OpenAI

Json = dict[str, Any]
HELLO: Json = {"model": "alias", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
COMPLETION = {
    "id": "chatcmpl-1",
    "model": "m",
    "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}],
}


def made(
    operation: Operation, provider: Provider, body: Json = HELLO, *, stream: bool = False, **headers: str
) -> Translation:
    http = SimpleNamespace(
        headers=CIMultiDict({key.replace("_", "-"): value for key, value in headers.items()})
    )
    tx = SimpleNamespace(
        operation=operation,
        http=http,
        body=body,
        stream=stream,
        include_usage=False,
        input_estimate=3,
        upload=None,
    )
    return translation(cast(Transaction, tx), provider, "upstream-model", 5)


def test_a_provider_of_the_clients_dialect_gets_its_own_body() -> None:
    found = made(MESSAGES, Claude(), anthropic_beta="b", anthropic_version="é", x_other="no")
    assert type(found) is Translation
    call = found.call
    assert (call.operation, call.dialect, call.model, call.max_tokens) == (
        "messages",
        "messages",
        "upstream-model",
        5,
    )
    assert call.body is HELLO
    assert call.headers == {"anthropic-beta": "b"}
    assert found.encode(Chunk(b"raw"), None, None) == b"raw"
    assert found.lost(("a",)) == ("a",)


@pytest.mark.parametrize("provider", [OpenAI(), Gemini()], ids=["openai", "gemini"])
def test_another_gets_a_chat(provider: Provider) -> None:
    found = made(MESSAGES, provider, {**HELLO, "context_management": {}}, anthropic_beta="b")
    assert isinstance(found, Bridge)
    assert (found.call.operation, found.call.dialect, found.call.headers) == ("chat", "messages", {})
    assert found.call.body["messages"] == HELLO["messages"]
    assert found.lost(("user", "seed", "user")) == ("context_management", "metadata", "seed")


def test_a_loss_inside_of_a_parameter_is_named_as_the_client_knows_it() -> None:
    found = made(RESPONSES, Gemini(), {"model": "alias", "input": "Hi"})
    assert found.lost(("messages.cache_control", "tools.strict")) == ("input.cache_control", "tools.strict")


@pytest.mark.parametrize(
    ("operation", "provider"), [(COUNT_TOKENS, OpenAI()), (EMBEDDINGS, Claude())], ids=["count", "embeddings"]
)
def test_what_a_provider_does_not_serve(operation: Operation, provider: Provider) -> None:
    with pytest.raises(Unsupported):
        made(operation, provider)


@pytest.mark.parametrize(
    "chunk", [Chunk(orjson.dumps(COMPLETION)), Chunk(value=COMPLETION)], ids=["raw", "value"]
)
def test_a_whole_answer_is_told_with_its_cost_or_without(chunk: Chunk) -> None:
    found = made(MESSAGES, OpenAI())
    paid = found.encode(chunk, Usage(1), 1500)
    assert orjson.loads(paid)["content"] == [{"type": "text", "text": "Hi"}]
    assert orjson.loads(paid)["usage"]["cost"] == 0.0000015
    assert orjson.loads(found.unpaid([chunk], Usage(1), paid))["usage"]["cost"] == 0


def test_a_completion_from_a_provider_that_chats_in_openais_dialect() -> None:
    chats = cast(Provider, SimpleNamespace(operations={"chat": "chat"}))
    found = made(COMPLETIONS, chats, {"model": "alias", "prompt": "Hi"})
    assert (
        orjson.loads(found.encode(Chunk(orjson.dumps(COMPLETION)), Usage(1), 0))["choices"][0]["text"] == "Hi"
    )


def test_the_events_of_a_stream_are_told_once() -> None:
    found = made(MESSAGES, OpenAI(), stream=True)
    value = {"id": "1", "model": "m", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}
    raw = b": comment\n\ndata: %b\n\ndata: %b\n\n" % (orjson.dumps(value), orjson.dumps(value))
    told = found.encode(Chunk(raw), None, None)
    assert told.count(b"message_start\n") == 1 and told.count(b"text_delta") == 2
    assert found.unpaid([Chunk(raw)], None, told) is told


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines_of_a_stream_may_end_in_any_way(end: bytes) -> None:
    found = made(MESSAGES, OpenAI(), stream=True)
    value = {"id": "1", "model": "m", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}
    event = b"data: %b%b%b" % (orjson.dumps(value), end, end)
    told = b"".join([found.encode(Chunk(raw), None, None) for raw in (event, event * 2)])
    assert told.count(b"message_start\n") == 1 and told.count(b"text_delta") == 3


def test_halves_of_a_character_are_joined_on_the_way() -> None:
    found = made(MESSAGES, OpenAI(), stream=True)
    value = {"id": "1", "model": "m", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}
    raw = b"data: %b\n\n" % orjson.dumps(value)
    halves = [Chunk(raw.replace(b"Hi", half)) for half in (rb"a \ud83d", rb"\ude00 b", rb"\ud83d c")]
    told = b"".join([found.encode(chunk, None, None) for chunk in halves]).decode()
    assert [f'"text":"{text}"' in told for text in ("a ", "\U0001f600 b", "\ufffd c")] == [True] * 3
    whole = Chunk(orjson.dumps(COMPLETION).replace(b"Hi", rb"a \ud83d"))
    assert (
        orjson.loads(made(MESSAGES, OpenAI()).encode(whole, Usage(), 0))["content"][0]["text"] == "a \ufffd"
    )


def test_an_answer_that_cannot_be_told() -> None:
    found = made(MESSAGES, OpenAI())
    with pytest.raises(ApiError) as caught:
        found.encode(Chunk(b'{"choices":[{"message":5}]}'), Usage(), 0)
    assert (caught.value.code, caught.value.status) == ("invalid_upstream_response", 502)
