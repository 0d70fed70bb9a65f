"""A strict reading of Anthropic's Messages format: what its API would answer 400 to, fails here."""

from __future__ import annotations

import re
from typing import Any

FIELDS = {
    "model",
    "max_tokens",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "stop_sequences",
    "stream",
    "metadata",
    "service_tier",
    "cache_control",
    "temperature",
    "top_p",
    "top_k",
}
_IDENT = re.compile(r"[a-zA-Z0-9_-]+")
_BLOCKS = {
    "text": {"type", "text", "cache_control"},
    "image": {"type", "source", "cache_control"},
    "document": {"type", "source", "title", "cache_control"},
    "tool_use": {"type", "id", "name", "input", "cache_control"},
    "tool_result": {"type", "tool_use_id", "content", "is_error", "cache_control"},
    "thinking": {"type", "thinking", "signature"},
    "redacted_thinking": {"type", "data"},
}
_ROLES = {
    "user": {"text", "image", "document", "tool_result"},
    "assistant": {"text", "tool_use", "thinking", "redacted_thinking"},
    "system": {"text"},
}

Json = dict[str, Any]


def check(payload: Json, *, system_turns: bool = False) -> None:
    """Raise AssertionError for what the API would refuse."""
    assert payload.keys() <= FIELDS, payload.keys() - FIELDS
    assert isinstance(payload["max_tokens"], int) and payload["max_tokens"] >= 1
    marks = int("cache_control" in payload)
    for block in payload.get("system", []):
        marks += _check_block(block, {"text"})
    names = [tool["name"] for tool in payload.get("tools", [])]
    for tool in payload.get("tools", []):
        assert tool.keys() <= {"name", "description", "input_schema", "strict", "cache_control"}
        assert tool["input_schema"]["type"] == "object"
        marks += "cache_control" in tool
    marks += _check_messages(payload["messages"], system_turns, bool(names))
    assert marks <= 4
    _check_settings(payload, names)


def _check_messages(messages: list[Json], system_turns: bool, has_tools: bool) -> int:
    assert messages and messages[0]["role"] == "user"
    marks = 0
    seen: set[str] = set()
    open_calls: set[str] = set()
    for index, message in enumerate(messages):
        role, content = message["role"], message["content"]
        assert message.keys() == {"role", "content"} and content
        if role == "system":
            assert system_turns and messages[index - 1]["role"] == "user"
            assert index + 1 == len(messages) or messages[index + 1]["role"] == "assistant"
        marks += sum(_check_block(block, _ROLES[role]) for block in content)
        results = [block["tool_use_id"] for block in content if block["type"] == "tool_result"]
        calls = [block["id"] for block in content if block["type"] == "tool_use"]
        assert all(block["type"] == "tool_result" for block in content[: len(results)])
        assert len(results) == len(set(results)) and set(results) == open_calls
        assert has_tools or not (results or calls)
        assert len(calls) == len(set(calls)) and not seen & set(calls)
        assert content[-1]["type"] not in ("thinking", "redacted_thinking")
        seen |= set(calls)
        open_calls = set(calls)
    assert not open_calls
    if messages[-1]["role"] == "assistant":
        text = messages[-1]["content"][-1]["text"]
        assert text == text.rstrip()
    return marks


def _check_block(block: Json, allowed: set[str]) -> int:
    kind = block["type"]
    assert kind in allowed, kind
    assert block.keys() <= _BLOCKS[kind], block
    if kind == "text":
        assert block["text"].strip()
    elif kind == "tool_use":
        assert _IDENT.fullmatch(block["id"]) and isinstance(block["input"], dict)
    elif kind == "tool_result":
        content = block.get("content", "")
        return "cache_control" in block or any(
            _check_block(inner, {"text", "image", "document"})
            for inner in ([] if isinstance(content, str) else content)
        )
    elif kind in ("image", "document"):
        assert block["source"]["type"] in ("base64", "url")
    return "cache_control" in block


def _check_settings(payload: Json, names: list[str]) -> None:
    assert len(names) == len(set(names))
    choice = payload.get("tool_choice", {"type": "auto"})
    assert choice["type"] in ("auto", "any", "tool", "none")
    assert names or "tool_choice" not in payload
    assert choice["type"] != "tool" or choice["name"] in names
    assert 0 <= payload.get("temperature", 0) <= 1
    assert all(text.strip() for text in payload.get("stop_sequences", ["x"]))
    thinking = payload.get("thinking", {})
    if thinking.get("type") == "enabled":
        assert 1024 <= thinking["budget_tokens"] < payload["max_tokens"]
        assert choice["type"] in ("auto", "none")
        assert "temperature" not in payload and "top_k" not in payload
