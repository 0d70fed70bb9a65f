"""LangChain's OpenAI classes, told nothing but the gateway's address and a key.

They run in threads: their asynchronous client is kept for the process and would outlive the test's loop.
"""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

from tests.clients.world import CHAT, EMBEDDING, KINDS, THINKING, World, serving

each_provider = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with serving(tmp_path) as world:
        yield world


@tool
def get_weather(city: str) -> str:
    """What the weather is like."""
    return f"sunny in {city}"


@tool
def get_time(city: str) -> str:
    """What time it is."""
    return f"noon in {city}"


class Answer(BaseModel):
    """An answer with its reason."""

    answer: str
    reason: str


@each_provider
async def test_invoke(kind: str, world: World) -> None:
    chat = ChatOpenAI(model=CHAT[kind], temperature=0.2, **world.settings)
    said = await to_thread(chat.invoke, [SystemMessage("Be brief."), HumanMessage("Hello")])
    assert said.content == "Echo: Hello"
    assert isinstance(said, AIMessage) and said.usage_metadata is not None
    assert said.usage_metadata["output_tokens"] > 0
    assert said.response_metadata["finish_reason"] == "stop"


@each_provider
async def test_stream(kind: str, world: World) -> None:
    chat = ChatOpenAI(model=CHAT[kind], stream_usage=True, **world.settings)
    chunks = await to_thread(lambda: list(chat.stream("Hello")))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert whole.content == "Echo: Hello" and len(chunks) > 3
    assert whole.usage_metadata is not None and whole.usage_metadata["output_tokens"] == 3


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("models", [CHAT, THINKING], ids=["plain", "thinking"])
@each_provider
async def test_tools(kind: str, models: dict[str, str], stream: bool, world: World) -> None:
    chat = ChatOpenAI(model=models[kind], streaming=stream, **world.settings)
    agent = chat.bind_tools([get_weather, get_time])
    messages: list[BaseMessage] = [HumanMessage("use tools")]
    said = await to_thread(agent.invoke, messages)
    assert isinstance(said, AIMessage)
    assert [call["name"] for call in said.tool_calls] == ["get_weather", "get_time"]
    messages.append(said)
    tools: dict[str, Any] = {"get_weather": get_weather, "get_time": get_time}
    for call in said.tool_calls:
        result = tools[call["name"]].invoke(call)
        assert isinstance(result, ToolMessage)
        messages.append(result)
    assert (await to_thread(agent.invoke, messages)).content == "Results: sunny in x; noon in x"


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
@each_provider
async def test_structured_output(kind: str, method: Any, world: World) -> None:
    chat = ChatOpenAI(model=CHAT[kind], **world.settings).with_structured_output(Answer, method=method)
    assert await to_thread(chat.invoke, "Why?") == Answer(answer="x", reason="x")


@pytest.mark.parametrize("kind", EMBEDDING)
async def test_embeddings(kind: str, world: World) -> None:
    """LangChain sends token ids unless told otherwise; Gemini takes texts only."""
    texts = OpenAIEmbeddings(model=EMBEDDING[kind], check_embedding_ctx_length=False, **world.settings)
    first, second = await to_thread(texts.embed_documents, ["one", "two"])
    assert len(first) == len(second) == 8 and first != second
    assert await to_thread(texts.embed_query, "one") == first
