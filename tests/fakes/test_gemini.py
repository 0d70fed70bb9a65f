"""The fake judges as Gemini does, and says the same whole and streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession

from tests.fakes.gemini import FakeGemini
from tests.fakes.upstream import Fault, Json

HEADERS = {"x-goog-api-key": "good-key"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": SCHEMA}]}]


@pytest.fixture
async def fake() -> AsyncIterator[FakeGemini]:
    async with FakeGemini() as started:
        yield started


def user(text: str) -> Json:
    return {"role": "user", "parts": [{"text": text}]}


async def post(fake: FakeGemini, body: Json, method: str = "gemini-3-pro:generateContent") -> tuple[int, Any]:
    async with (
        ClientSession(headers=HEADERS) as session,
        session.post(f"{fake.url}/v1beta/models/{method}", json=body) as got,
    ):
        data = await got.read()
        return got.status, data if got.content_type == "text/event-stream" else orjson.loads(data)


async def test_a_bad_key_is_an_invalid_argument(fake: FakeGemini) -> None:
    fake.keys = {"other"}
    status, body = await post(fake, {"contents": [user("hi")]})
    assert status == 400
    assert body["error"]["details"][0]["reason"] == "API_KEY_INVALID"


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"contents": [user("use tools")], "tools": TOOLS},
        {"generationConfig": {"candidateCount": 2, "thinkingConfig": {"includeThoughts": True}}},
        {"contents": [user("please refuse")]},
    ],
)
async def test_a_stream_says_the_same(fake: FakeGemini, extra: Json) -> None:
    ask = {"contents": [user("hi")], **extra}
    _, whole = await post(fake, ask)
    fake.cut = 9
    _, raw = await post(fake, ask, "gemini-3-pro:streamGenerateContent?alt=sse")
    chunks = [orjson.loads(event[6:]) for event in raw.split(b"\r\n\r\n") if event]
    _, array = await post(fake, ask, "gemini-3-pro:streamGenerateContent")
    assert len(array) == len(chunks)
    assert chunks[-1]["usageMetadata"] == whole["usageMetadata"]
    for candidate in whole["candidates"]:
        mine = [c["candidates"][0] for c in chunks if c["candidates"][0]["index"] == candidate["index"]]
        parts = [part for piece in mine for part in piece.get("content", {}).get("parts", ())]
        expected = candidate.get("content", {}).get("parts", [])
        assert "".join(p.get("text", "") for p in parts) == "".join(p.get("text", "") for p in expected)
        assert sum("functionCall" in p for p in parts) == sum("functionCall" in p for p in expected)
        assert mine[-1]["finishReason"] == candidate["finishReason"]


async def test_snake_case_and_null_are_taken(fake: FakeGemini) -> None:
    body = {"contents": [user("hi")], "generation_config": {"max_output_tokens": 6, "temperature": None}}
    status, got = await post(fake, body)
    assert status == 200
    assert got["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert got["usageMetadata"]["thoughtsTokenCount"] == 5


@pytest.mark.parametrize(
    ("extra", "text"),
    [
        ({"contents": []}, "contents is not specified"),
        ({"foo": 1}, 'Unknown name "foo": Cannot find field.'),
        ({"generationConfig": {"foo": 1}}, "Unknown name \"foo\" at 'generation_config': Cannot find field."),
        (
            {"generationConfig": {"temperature": "hot"}},
            "'generation_config.temperature' (TYPE_FLOAT), \"hot\"",
        ),
        ({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "valid role: user, model"),
        ({"contents": [{"role": "user", "parts": []}]}, "must not be empty"),
        (
            {
                "tools": [
                    {"functionDeclarations": [{"name": "a", "parameters": {"additionalProperties": False}}]}
                ]
            },
            "Unknown name \"additionalProperties\" at 'tools[0].function_declarations[0].parameters'",
        ),
        (
            {
                "tools": [
                    {"functionDeclarations": [{"name": "a", "parameters": {"type": ["string", "null"]}}]}
                ]
            },
            "Proto field is not repeating, cannot start list.",
        ),
        ({"tools": [{"functionDeclarations": [{"name": "a b"}]}]}, "Invalid function name"),
        ({"generationConfig": {"stopSequences": list("abcdef")}}, "must not exceed 5"),
        ({"generationConfig": {"thinkingConfig": {"thinkingBudget": 5, "thinkingLevel": "LOW"}}}, "only one"),
        (
            {"toolConfig": {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["a"]}}},
            "mode is ANY or VALIDATED",
        ),
    ],
)
async def test_refusals(fake: FakeGemini, extra: Json, text: str) -> None:
    status, body = await post(fake, {"contents": [user("hi")], **extra})
    assert (status, body["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert text in body["error"]["message"]


async def test_function_calls_want_as_many_responses_and_their_signature(fake: FakeGemini) -> None:
    ask = {"contents": [user("use tools")], "tools": TOOLS}
    _, first = await post(fake, ask)
    turn = first["candidates"][0]["content"]
    assert ["thoughtSignature" in part for part in turn["parts"]] == [True, False]
    answer = {"functionResponse": {"name": "weather", "response": {"result": "sun"}}}
    contents = [user("use tools"), turn, {"role": "user", "parts": [answer, answer]}]
    status, body = await post(fake, {**ask, "contents": contents})
    assert status == 200
    assert body["candidates"][0]["content"]["parts"] == [{"text": "Results: sun; sun"}]
    _, body = await post(fake, {**ask, "contents": [*contents[:2], {"role": "user", "parts": [answer]}]})
    assert "number of function response parts is equal" in body["error"]["message"]
    turn["parts"][0]["thoughtSignature"] = "AAAA"
    _, body = await post(fake, {**ask, "contents": contents})
    assert body["error"]["message"] == "Corrupted thought signature."
    del turn["parts"][0]["thoughtSignature"]
    _, body = await post(fake, {**ask, "contents": contents})
    assert "missing a thought_signature" in body["error"]["message"]


async def test_json_mode_and_tools_exclude_each_other_on_old_models(fake: FakeGemini) -> None:
    config = {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}
    body = {"contents": [user("hi")], "generationConfig": config}
    _, got = await post(fake, body)
    assert got["candidates"][0]["content"]["parts"][0]["text"] == '{"city":"x"}'
    _, got = await post(fake, {**body, "tools": TOOLS}, "gemini-2.5-flash:generateContent")
    assert "response mime type" in got["error"]["message"]


async def test_embeddings_in_a_batch(fake: FakeGemini) -> None:
    item = {
        "model": "models/gemini-embedding-001",
        "content": {"parts": [{"text": "a"}]},
        "outputDimensionality": 2,
    }
    status, body = await post(fake, {"requests": [item, item]}, "gemini-embedding-001:batchEmbedContents")
    assert status == 200
    assert [len(e["values"]) for e in body["embeddings"]] == [2, 2]


async def test_a_scripted_429_names_its_delay_in_the_body(fake: FakeGemini) -> None:
    fake.script.append(Fault(429))
    status, body = await post(fake, {"contents": [user("hi")]})
    assert (status, body["error"]["details"][0]["retryDelay"]) == (429, "34s")
