"""The provider: addresses and headers, and requests that Gemini's rules allow whatever the chat."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import Call, Kind, Unsupported, Upstream
from gateway.dialects.gemini_request import PARAMETERS
from gateway_providers.gemini import Gemini

Json = dict[str, Any]

TESTS = Path(__file__).parent.parent
GEMINI = Gemini()
CHAT: Json = {"model": "x", "messages": [{"role": "user", "content": "hi"}]}
HOST = "https://generativelanguage.googleapis.com"


def prepare(body: Json, model: str = "gemini-3-flash", **settings: Any) -> Upstream:
    return GEMINI.prepare(Call("chat", model, body, **settings), "secret")


def test_the_key_is_in_a_header_only() -> None:
    upstream = prepare(CHAT)
    assert upstream.method == "POST"
    assert upstream.headers == [("content-type", "application/json"), ("x-goog-api-key", "secret")]
    assert "secret" not in upstream.url and b"secret" not in upstream.body


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, f"{HOST}/v1beta"),
        ({"base_url": f"{HOST}/"}, f"{HOST}/v1beta"),
        ({"base_url": f"{HOST}/v1"}, f"{HOST}/v1"),
        ({"base_url": f"{HOST}/v1alpha/"}, f"{HOST}/v1alpha"),
        ({"api_version": "v1"}, f"{HOST}/v1"),
        ({"base_url": "http://127.0.0.1:9/vertex"}, "http://127.0.0.1:9/vertex/v1beta"),
    ],
)
def test_a_version_in_the_base_url_is_respected(settings: Json, expected: str) -> None:
    upstream = Gemini(**settings).prepare(Call("chat", "gemini-3-flash", CHAT), "k")
    assert upstream.url == f"{expected}/models/gemini-3-flash:generateContent"


def test_each_operation_has_its_method() -> None:
    assert prepare(CHAT, stream=True).url.endswith("/models/gemini-3-flash:streamGenerateContent?alt=sse")
    call = Call("embeddings", "e", {"input": "a", "user": "u"}, dialect="embeddings")
    upstream = GEMINI.prepare(call, "k")
    assert upstream.url.endswith("/models/e:batchEmbedContents")
    assert upstream.dropped == ("user",)
    reader = GEMINI.reader(call)
    reader.feed((TESTS / "wire" / "gemini" / "embeddings.json").read_bytes())
    assert reader.finish() == [] and reader.fault is not None  # two for one input


def test_a_model_name_cannot_change_the_address() -> None:
    url = prepare(CHAT, "../../v1/x?key=1#").url
    assert url == f"{HOST}/v1beta/models/..%2F..%2Fv1%2Fx%3Fkey%3D1%23:generateContent"


def test_the_request_is_not_changed() -> None:
    body = {**CHAT, "tools": [{"type": "function", "function": {"name": "f"}}], "stop": ["a"]}
    before = orjson.dumps(body)
    prepare(body)
    assert orjson.dumps(body) == before


def test_arguments_too_deep_for_json_are_refused() -> None:
    deep = '{"a":' * 400 + "1" + "}" * 400
    history = {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": deep}}]}
    with pytest.raises(Unsupported) as caught:
        prepare({"messages": [{"role": "user", "content": "hi"}, history]})
    assert caught.value.param == "messages"


@pytest.mark.parametrize("keeps_extra_content", [True, False])
def test_an_answer_sent_back_is_what_gemini_said(keeps_extra_content: bool) -> None:
    """Also by a client that knows nothing but OpenAI's own fields."""
    parts = [
        {"text": "Let me look."},
        {"functionCall": {"name": "f", "args": {"a": 1}, "id": "8f2b"}, "thoughtSignature": "Ep+/w=="},
        {"functionCall": {"name": "g", "args": {}, "id": "9a7d"}},
    ]
    answer = {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]}
    reader = GEMINI.reader(Call("chat", "gemini-3-flash", CHAT))
    reader.feed(orjson.dumps(answer))
    value = reader.finish()[0].value
    assert value is not None
    message = value["choices"][0]["message"]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "1"} for call in message["tool_calls"]]
    if not keeps_extra_content:
        message = {key: message[key] for key in ("role", "content", "refusal", "tool_calls")}
        for call in message["tool_calls"]:
            call.pop("extra_content", None)
    upstream = prepare({"messages": [*CHAT["messages"], message, *results]})
    contents = orjson.loads(upstream.body)["contents"]
    assert contents[1] == {"role": "model", "parts": parts}
    assert [part["functionResponse"]["id"] for part in contents[2]["parts"]] == ["8f2b", "9a7d"]
    assert upstream.dropped == ()


def test_diagnose() -> None:
    assert GEMINI.diagnose(503, {}, b"").kind is Kind.OVERLOADED


def test_the_documentation_names_every_parameter() -> None:
    text = (TESTS.parent / "docs" / "providers" / "gemini.rst").read_text()
    assert [name for name in PARAMETERS if f"``{name}``" not in text] == []


FIELDS = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "serviceTier"}
CONFIG = {
    "temperature", "topP", "topK", "candidateCount", "maxOutputTokens", "stopSequences", "presencePenalty",
    "frequencyPenalty", "seed", "responseMimeType", "responseJsonSchema", "responseLogprobs", "logprobs",
    "thinkingConfig",
}  # fmt: skip
PART = {"text", "inlineData", "fileData", "functionCall", "functionResponse"}


def check(body: Json) -> None:
    """Gemini's rules for a request, as far as its documentation and error messages tell them."""
    assert body.keys() <= FIELDS
    assert body.get("generationConfig", {}).keys() <= CONFIG
    assert body["contents"]
    before: Json = {"role": "model", "parts": []}
    for content in body["contents"]:
        assert content.keys() == {"role", "parts"} and content["role"] in ("user", "model")
        assert content["parts"]
        for part in content["parts"]:
            check_part(part, content["role"])
        calls = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
        answered = [part["functionResponse"] for part in content["parts"] if "functionResponse" in part]
        expected = [part["functionCall"] for part in before["parts"] if "functionCall" in part]
        assert [(item["name"], item.get("id")) for item in answered] == [
            (item["name"], item.get("id")) for item in expected
        ]
        assert not answered or len(answered) == len(content["parts"])
        assert not calls or before["role"] == "user"
        before = content
    assert not any("functionCall" in part for part in before["parts"])


def check_part(part: Json, role: str) -> None:
    kinds = part.keys() & PART
    assert len(kinds) == 1 and part.keys() - PART <= {"thoughtSignature"}
    assert part.get("text") != ""
    if "functionCall" in part:
        assert role == "model" and isinstance(part["functionCall"]["args"], dict)
    if "functionResponse" in part:
        assert role == "user" and isinstance(part["functionResponse"]["response"], dict)
    if "inlineData" in part:
        assert part["inlineData"].keys() == {"mimeType", "data"}


IDS = st.sampled_from(["a", "b", "c", "id__thought__UzE", ""])
TEXT = st.sampled_from(["", " ", "x", "ü\u2028"])
URLS = st.sampled_from(["data:image/png;base64,AAAA", "https://x.example/a.png"])
USER_PARTS = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": TEXT}),
    st.fixed_dictionaries(
        {"type": st.just("image_url"), "image_url": st.fixed_dictionaries({"url": URLS})},
    ),
    st.just({"type": "file", "file": {"file_data": "AAAA", "filename": "a.pdf"}}),
)
CALLS = st.fixed_dictionaries(
    {
        "id": IDS,
        "type": st.just("function"),
        "function": st.fixed_dictionaries(
            {
                "name": st.sampled_from(["f", "g"]),
                "arguments": st.sampled_from(["", "{}", "{", '{"a":1}', "[1]"]),
            }
        ),
    }
)
MESSAGES = st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "developer"]), "content": TEXT}),
    st.fixed_dictionaries({"role": st.just("user"), "content": TEXT | st.lists(USER_PARTS, max_size=3)}),
    st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": TEXT | st.none()},
        optional={
            "tool_calls": st.lists(CALLS, max_size=3),
            "refusal": TEXT | st.none(),
            "reasoning_content": TEXT,
            "extra_content": st.just({"google": {"thought_signature": "S"}}),
        },
    ),
    st.fixed_dictionaries({"role": st.just("tool"), "tool_call_id": IDS, "content": TEXT}),
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0, 2),
        "max_tokens": st.integers(1, 99),
        "stop": TEXT | st.lists(TEXT, max_size=4),
        "n": st.integers(1, 8),
        "seed": st.integers(-(2**63), 2**63 - 1),
        "logprobs": st.booleans(),
        "top_logprobs": st.integers(0, 20),
        "reasoning_effort": st.sampled_from(["none", "minimal", "low", "high", "max"]),
        "user": TEXT,
        "service_tier": st.sampled_from(["auto", "flex"]),
        "tool_choice": st.sampled_from(["auto", "none", "required"]),
    },
)
MODELS = st.sampled_from(["gemini-2.0-flash", "gemini-2.5-pro", "gemini-3-flash", "gemma-3-27b-it"])


@settings(max_examples=200, deadline=None)
@given(st.lists(MESSAGES, max_size=10), OPTIONS, MODELS)
def test_every_chat_becomes_a_request_that_gemini_takes(
    messages: list[Json], options: Json, model: str
) -> None:
    try:
        upstream = prepare({"model": "x", "messages": messages, **options}, model)
    except Unsupported as reason:
        assert reason.reason in ("every message is empty", "there are no tools to choose from")
        return
    check(orjson.loads(upstream.body))


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | TEXT
    | st.sampled_from(["user", "tool", "text", "function"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "type", "function", "name", "tool_calls", "image_url", "file", "text"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(PARAMETERS)), ANYTHING, st.lists(ANYTHING, max_size=3))
def test_nothing_but_unsupported_is_raised(name: str, value: Any, messages: list[Any]) -> None:
    for body in (
        {**CHAT, name: value},
        {"messages": messages},
        {"messages": [{"role": "user", "content": value}]},
    ):
        try:
            prepare(body)
        except Unsupported:
            pass
