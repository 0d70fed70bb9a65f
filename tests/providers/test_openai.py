"""OpenAI: requests arrive as they were sent, but for model, key and ceiling."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.api import Call, Kind, Unsupported, Upstream
from gateway.api.testing.calls import calls
from gateway.dialects.chat import NativeReader
from gateway.dialects.chat_body import BodyReader, EmbeddingsReader
from gateway.dialects.gemini_signature import pack
from gateway.dialects.responses.reader import BodyReader as ResponseReader
from gateway.dialects.responses.reader import StreamReader as ResponseStreamReader
from gateway_providers.openai import OpenAI

Json = dict[str, Any]
HELLO: list[Json] = [{"role": "user", "content": "Hello"}]


def sent(call: Call) -> Json:
    body: Json = orjson.loads(OpenAI().prepare(call, "sk-1").body)
    return body


@pytest.mark.parametrize(
    "base_url",
    [
        "https://api.openai.com",
        "https://api.openai.com/",
        "https://api.openai.com/v1",
        "https://api.openai.com/v1/",
    ],
)
@pytest.mark.parametrize(
    ("operation", "path"),
    [
        ("chat", "/chat/completions"),
        ("completions", "/completions"),
        ("embeddings", "/embeddings"),
        ("responses", "/responses"),
        ("moderations", "/moderations"),
        ("images", "/images/generations"),
        ("speech", "/audio/speech"),
        ("transcriptions", "/audio/transcriptions"),
        ("translations", "/audio/translations"),
    ],
)
def test_addresses(base_url: str, operation: str, path: str) -> None:
    upstream = OpenAI(base_url=base_url).prepare(Call(operation, "m", {"messages": HELLO}), "sk-1")
    assert (upstream.method, upstream.url) == ("POST", f"https://api.openai.com/v1{path}")


def test_headers() -> None:
    call = Call("chat", "m", {"messages": HELLO})
    plain = [("content-type", "application/json"), ("authorization", "Bearer sk-1")]
    assert OpenAI().prepare(call, "sk-1").headers == plain
    assert OpenAI(organization="org", project="proj").prepare(call, "sk-1").headers == [
        *plain,
        ("openai-organization", "org"),
        ("openai-project", "proj"),
    ]


def test_only_the_model_changes() -> None:
    body = {
        "messages": [*HELLO, {"role": "assistant", "content": "\u2028", "annotations": []}, *HELLO],
        "model": "alias",
        "user": "u",
        "stream_options": None,
        "something_new": {"a": [1, 2.5, None]},
    }
    assert sent(Call("chat", "gpt", body)) == {**body, "model": "gpt"}
    assert list(sent(Call("chat", "gpt", body))) == list(body)
    assert sent(Call("embeddings", "e", {"model": "alias", "input": [[1]]})) == {"model": "e", "input": [[1]]}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"include_usage": True}),
        ({"stream_options": None}, {"include_usage": True}),
        ({"stream_options": {"include_usage": False}}, {"include_usage": True}),
        (
            {"stream_options": {"include_obfuscation": False}},
            {"include_usage": True, "include_obfuscation": False},
        ),
    ],
)
@pytest.mark.parametrize("operation", ["chat", "completions"])
def test_streams_are_asked_for_usage(
    operation: str, options: dict[str, Any], expected: dict[str, Any]
) -> None:
    body = {"messages": HELLO, "stream": True, **options}
    before = orjson.dumps(body)
    assert sent(Call(operation, "m", body, stream=True)) == {**body, "model": "m", "stream_options": expected}
    assert orjson.dumps(body) == before


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, {"max_completion_tokens": 10}),
        ({"max_tokens": None}, {"max_tokens": None, "max_completion_tokens": 10}),
        ({"max_tokens": 50}, {"max_tokens": 10}),
        ({"max_completion_tokens": 50}, {"max_completion_tokens": 10}),
        ({"max_completion_tokens": 0}, {"max_completion_tokens": 0}),
        ({"max_tokens": 5, "max_completion_tokens": 50}, {"max_tokens": 5, "max_completion_tokens": 10}),
    ],
)
def test_the_operators_ceiling(limits: Json, expected: Json) -> None:
    body = {"messages": HELLO, **limits}
    assert sent(Call("chat", "m", body, max_tokens=10)) == {"messages": HELLO, "model": "m", **expected}
    assert sent(Call("chat", "m", body)) == {**body, "model": "m"}


def test_the_ceiling_of_a_completion() -> None:
    assert sent(Call("completions", "m", {"prompt": "a"}, max_tokens=10))["max_tokens"] == 10


def test_answers_sent_back_lose_what_the_gateway_added() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    extended = {**call, "id": pack("call_1", "S" * 50, "gemini-3-pro"), "extra_content": {"google": {}}}
    messages = [
        *HELLO,
        {"role": "assistant", "content": "a", "reasoning_content": "hm", "reasoning_details": []},
        {"role": "assistant", "content": "a", "extra_content": {"google": {}}, "images": []},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [extended, call],
        },
        {"role": "tool", "tool_call_id": extended["id"], "content": "1"},
        {"role": "assistant", "content": "b", "tool_calls": None},
    ]
    before = orjson.dumps(messages)
    assert sent(Call("chat", "m", {"messages": messages}))["messages"] == [
        *HELLO,
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "content": None, "tool_calls": [call, call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "1"},
        {"role": "assistant", "content": "b", "tool_calls": None},
    ]
    assert orjson.dumps(messages) == before


def test_readers() -> None:
    provider = OpenAI()
    assert isinstance(provider.reader(Call("chat", "m", {}, stream=True)), NativeReader)
    assert isinstance(provider.reader(Call("completions", "m", {}, stream=True)), NativeReader)
    assert type(provider.reader(Call("chat", "m", {}))) is BodyReader
    assert isinstance(provider.reader(Call("embeddings", "m", {})), EmbeddingsReader)


def test_diagnose() -> None:
    assert OpenAI().diagnose(401, {}, b"").kind is Kind.KEY


@pytest.mark.parametrize("stream", [False, True])
def test_responses_go_up_as_they_came(stream: bool) -> None:
    body = {"model": "alias", "input": "Hello", "stream": stream, "store": True}
    call = Call("responses", "gpt-5", body, stream=stream, dialect="responses")
    assert sent(call) == {**body, "model": "gpt-5"}
    assert isinstance(OpenAI().reader(call), ResponseStreamReader if stream else ResponseReader)


def test_a_server_may_lack_the_responses_api() -> None:
    assert "responses" in OpenAI().operations
    assert OpenAI(responses_api=False).operations == OpenAI.served


def test_the_limit_of_a_translated_request_has_the_name_that_all_models_take() -> None:
    body = {"messages": HELLO, "max_tokens": 50}
    sent_up = sent(Call("chat", "gpt-5", body, dialect="responses"))
    assert (sent_up["max_completion_tokens"], "max_tokens" in sent_up) == (50, False)
    assert sent(Call("chat", "gpt-5", body))["max_tokens"] == 50


def translated(model: str = "gpt-5", **body: Any) -> Upstream:
    asked = {"model": "alias", "messages": [{"role": "user", "content": "Hi"}], **body}
    return OpenAI().prepare(Call("chat", model, asked, dialect="messages"), "secret")


@pytest.mark.parametrize(
    ("model", "tools", "kept"),
    [
        ("gpt-5", True, True),
        ("gpt-5.4", False, True),
        ("gpt-5.4", True, False),
        ("gpt-4o", False, False),
        ("chatgpt-4o-latest", False, False),
        ("gpt-5-chat-latest", False, False),
        ("o3", True, True),
        ("some-deployment", True, True),
    ],
)
def test_effort_is_for_models_that_take_it(model: str, tools: bool, kept: bool) -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    upstream = translated(model, reasoning_effort="high", **({"tools": [tool]} if tools else {}))
    assert ("reasoning_effort" in orjson.loads(upstream.body)) == kept
    assert upstream.dropped == (() if kept else ("reasoning_effort",))


@pytest.mark.parametrize(
    ("model", "sent", "dropped"),
    [
        ("o3", None, ("temperature", "top_p")),
        ("ft:o4-mini:us", None, ("temperature", "top_p")),
        ("gpt-5", None, ("temperature", "top_p")),
        ("gpt-5.6-luna", None, ("temperature", "top_p")),
        ("gpt-5-chat-latest", 0.5, ()),
        ("gpt-4o", 0.5, ()),
        ("some-deployment", 0.5, ()),
    ],
)
def test_a_model_that_reasons_is_not_told_how_to_sample(
    model: str, sent: float | None, dropped: tuple[str, ...]
) -> None:
    upstream = translated(model, temperature=0.5, top_p=0.5)
    body = orjson.loads(upstream.body)
    assert (body.get("temperature"), body.get("top_p")) == (sent, sent)
    assert upstream.dropped == dropped
    assert translated(model, temperature=1, top_p=1).dropped == ()


@pytest.mark.parametrize("asked", [{"stop": ["a"]}, {"logprobs": True}])
def test_what_a_model_that_reasons_has_not_others_may_have(asked: Json) -> None:
    with pytest.raises(Unsupported) as refused:
        translated("o3", **asked)
    assert refused.value.param == next(iter(asked))
    assert translated("gpt-4o", **asked).dropped == ()


def test_a_model_that_was_told_not_to_reason_samples() -> None:
    asked = {"reasoning_effort": "none", "temperature": 0.5, "stop": ["a"]}
    upstream = translated("gpt-5.1", **asked)
    assert orjson.loads(upstream.body).items() >= asked.items() and upstream.dropped == ()


@pytest.mark.parametrize(
    ("model", "effort"), [("o3", "high"), ("gpt-5", "high"), ("gpt-5.2", "max"), ("some-deployment", "max")]
)
def test_older_models_reason_highly_at_most(model: str, effort: str) -> None:
    assert orjson.loads(translated(model, reasoning_effort="max").body)["reasoning_effort"] == effort


def test_what_openai_does_not_know_of_other_dialects_stays_out() -> None:
    upstream = translated(top_k=5)
    assert "top_k" not in orjson.loads(upstream.body)
    assert upstream.dropped == ("top_k",)
    with pytest.raises(Unsupported) as refused:
        translated(stop=["a", "b", "c", "d", "e"])
    assert refused.value.param == "stop"


def test_an_effort_that_is_none_is_openais_to_refuse() -> None:
    assert orjson.loads(translated("o3", reasoning_effort=["max"]).body)["reasoning_effort"] == ["max"]


def test_what_a_chat_client_sends_goes_up_whatever_it_is() -> None:
    body = {"model": "alias", "messages": [], "top_k": 5, "stop": ["a"] * 9, "reasoning_effort": "high"}
    upstream = OpenAI().prepare(Call("chat", "gpt-4o", body), "secret")
    assert orjson.loads(upstream.body) == {**body, "model": "gpt-4o"}


@pytest.mark.parametrize("operation", ["moderations", "images", "speech"])
@pytest.mark.parametrize("stream", [False, True])
def test_of_what_is_passed_on_only_the_model_changes(operation: str, stream: bool) -> None:
    body = {"model": "alias", "input": "x", "stream": stream, "max_tokens": 9, "new": {"a": [None, 2.5]}}
    assert sent(Call(operation, "m", body, stream=stream, max_tokens=4)) == {**body, "model": "m"}


def test_a_form_is_sent_as_one() -> None:
    call = calls("transcriptions")[0]
    upstream = OpenAI(project="proj").prepare(call, "sk-1")
    assert upstream.form is not None and upstream.body == b""
    assert b"".join(upstream.form.pieces()).count(call.model.encode()) == 1
    assert upstream.headers == [
        ("content-type", upstream.form.content_type),
        ("authorization", "Bearer sk-1"),
        ("openai-project", "proj"),
    ]


def test_it_ranks_nothing() -> None:
    assert "rerank" not in OpenAI().operations
