"""Any OpenAI-shaped server: what can be set about it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.api import Call
from gateway_providers.custom import Custom

URL = "http://127.0.0.1:8000"
REPLAYED = [{"role": "assistant", "content": "a", "reasoning_content": "hm"}]


def sent(provider: Custom, call: Call) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(provider.prepare(call, "").body)
    return body


def test_a_base_url_is_needed() -> None:
    with pytest.raises(TypeError, match="base_url"):
        Custom()  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("base_url", "api_path", "url"),
    [
        (URL, "/v1", f"{URL}/v1/chat/completions"),
        (f"{URL}/v1/", "/v1", f"{URL}/v1/chat/completions"),
        (f"{URL}/llm/", "", f"{URL}/llm/chat/completions"),
        (f"{URL}/api", "/paas/v4/", f"{URL}/api/paas/v4/chat/completions"),
    ],
)
def test_addresses(base_url: str, api_path: str, url: str) -> None:
    provider = Custom(base_url=base_url, api_path=api_path)
    assert provider.prepare(Call("chat", "m", {"messages": []}), "").url == url


def test_credentials() -> None:
    call = Call("chat", "m", {"messages": []})
    content = ("content-type", "application/json")
    assert Custom(URL).prepare(call, "k").headers == [content, ("authorization", "Bearer k")]
    assert Custom(URL).prepare(call, "").headers == [content]
    own = Custom(URL, auth_header="X-Api-Key", auth_scheme="")
    assert own.prepare(call, "k").headers == [content, ("x-api-key", "k")]
    assert ("openai-organization", "org") in Custom(URL, organization="org").prepare(call, "k").headers


def test_messages_stay_as_they_are_unless_told_otherwise() -> None:
    call = Call("chat", "m", {"messages": REPLAYED})
    assert sent(Custom(URL), call)["messages"] == REPLAYED
    stripped = sent(Custom(URL, message_extensions=False), call)["messages"]
    assert stripped == [{"role": "assistant", "content": "a"}]


def test_usage_of_streams() -> None:
    body = {"messages": [], "stream": True, "stream_options": {"include_usage": True}}
    call = Call("chat", "m", body, stream=True)
    assert sent(Custom(URL), call)["stream_options"] == {"include_usage": True}
    assert "stream_options" not in sent(Custom(URL, stream_usage=False), call)


def test_the_ceiling_has_the_name_that_all_servers_know() -> None:
    assert sent(Custom(URL), Call("chat", "m", {"messages": []}, max_tokens=9))["max_tokens"] == 9


def test_the_responses_api_where_the_server_has_it() -> None:
    call = Call("responses", "m", {"model": "alias", "input": "Hello"}, dialect="responses")
    own = Custom(URL, responses_api=True)
    assert own.operations["responses"] == "responses" and "responses" not in Custom(URL).operations
    assert own.prepare(call, "").url == f"{URL}/v1/responses"
    assert sent(own, call) == {"model": "m", "input": "Hello"}


def test_the_limit_of_a_translated_request_has_the_name_that_every_server_knows() -> None:
    body = {"model": "alias", "messages": [], "max_completion_tokens": 50}
    translated = Call("chat", "m", body, dialect="responses", max_tokens=20)
    assert sent(Custom(URL), translated) == {"model": "m", "messages": [], "max_tokens": 20}
    assert sent(Custom(URL), Call("chat", "m", body)) == {**body, "model": "m"}


def test_it_is_asked_for_what_it_is_said_to_have() -> None:
    assert set(Custom(URL).operations) == {"chat", "completions", "embeddings"}
    ranks = Custom(URL, endpoints=("rerank",))
    assert dict(ranks.operations) == {"rerank": "rerank"}
    call = Call("rerank", "m", {"query": "q", "documents": ["d"]})
    assert ranks.prepare(call, "").url == f"{URL}/v1/rerank"
    assert sent(ranks, call) == {**call.body, "model": "m"}


def test_what_tools_show_is_shown_by_a_user_where_a_request_was_translated() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    messages = [{"role": "tool", "tool_call_id": "call_1", "content": [image]}]
    made = sent(Custom(URL), Call("chat", "m", {"messages": messages}, dialect="responses"))
    assert [message["role"] for message in made["messages"]] == ["tool", "user"]
    assert sent(Custom(URL), Call("chat", "m", {"messages": messages}))["messages"] == messages
