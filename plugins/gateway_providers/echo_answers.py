"""What an echo says: the last user message, a tool call, JSON of a schema, or vectors made by hashing."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

import orjson

from gateway.api import Call
from gateway.dialects.embeddings import pack_base64, unpack_base64
from gateway_providers.echo_schema import smallest

_PIECE = re.compile(r"\S+\s*|\s+")
_DIMENSIONS = 64
_MOST_DIMENSIONS = 8192
_MOST_CHOICES = 128


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, in the pieces it is streamed in."""

    pieces: list[str]
    finish_reason: str
    tool: str | None = None
    """The function that is called with the pieces as its arguments; None: they are text."""


def answers(call: Call, reply: str) -> tuple[int, list[Answer]]:
    """The prompt's tokens, and the answers to a chat or completion, ``n`` of them (for each prompt).

    ``reply`` has ``{message}`` where the last user message, or the prompt, is to be.
    """
    if call.operation == "chat":
        messages = call.body["messages"]
        texts = [text_of(message.get("content")) for message in messages]
        found = [_chat_answer(call, reply)]
    else:
        prompts = _items(call.body.get("prompt"))
        texts = [item if isinstance(item, str) else f"{len(item)} tokens" for item in prompts]
        found = [_cut(reply.replace("{message}", text), call) for text in texts]
    copies = min(call.body.get("n") or 1, _MOST_CHOICES)
    return sum(len(pieces(text)) for text in texts), [answer for answer in found for _ in range(copies)]


def embeddings(call: Call) -> dict[str, Any]:
    """A unit vector for each input, always the same for the same model, input and dimensions."""
    body = call.body
    items = _items(body.get("input"))
    size = min(body.get("dimensions") or _DIMENSIONS, _MOST_DIMENSIONS)
    packed = [pack_base64(_vector(call.model, item, size)) for item in items]
    as_text = body.get("encoding_format") == "base64"
    tokens = sum(len(pieces(item) if isinstance(item, str) else item) for item in items)
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": text if as_text else unpack_base64(text)}
            for index, text in enumerate(packed)
        ],
        "model": call.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def pieces(text: str) -> list[str]:
    """Words with the white space that follows them: what an echo counts as tokens."""
    return _PIECE.findall(text)


def text_of(content: object) -> str:
    """The text of a message: its content itself, or its parts'."""
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _chat_answer(call: Call, reply: str) -> Answer:
    body = call.body
    users = (message for message in reversed(body["messages"]) if message.get("role") == "user")
    asked = next((text_of(message.get("content")) for message in users), "")
    if (function := _function(body, asked)) is not None:
        arguments = orjson.dumps(smallest(function.get("parameters")) or {}).decode()
        named = isinstance(body.get("tool_choice"), dict)  # OpenAI then says stop
        return Answer(pieces(arguments), "stop" if named else "tool_calls", str(function.get("name")))
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        schema = (wanted.get("json_schema") or {}).get("schema")
        return Answer(pieces(orjson.dumps(smallest(schema)).decode()), "stop")
    if wanted.get("type") == "json_object":
        return Answer(pieces(orjson.dumps({"message": asked}).decode()), "stop")
    return _cut(reply.replace("{message}", asked), call)


def _cut(text: str, call: Call) -> Answer:
    """The text up to a stop sequence, and no longer than the client or the operator allows."""
    stops = call.body.get("stop") or []
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.partition(stop)[0] if stop else text
    limits = (call.body.get("max_completion_tokens"), call.body.get("max_tokens"), call.max_tokens)
    most = min((number for number in limits if number is not None), default=None)
    said = pieces(text)
    return Answer(said, "stop") if most is None or len(said) <= most else Answer(said[:most], "length")


def _function(body: Mapping[str, Any], asked: str) -> Mapping[str, Any] | None:
    """The function to call: the one that the client insists on, or one whose name the last message says."""
    offered: list[Mapping[str, Any]] = [
        tool["function"] for tool in body.get("tools") or () if tool.get("type") == "function"
    ]
    choice = body.get("tool_choice") or "auto"
    if not offered or choice == "none":
        return None
    if isinstance(choice, dict) and choice.get("type") == "function":
        name = (choice.get("function") or {}).get("name")
        return next((function for function in offered if function.get("name") == name), None)
    if choice == "required":
        return offered[0]
    if body["messages"][-1].get("role") != "user":
        return None
    return next((function for function in offered if str(function.get("name")) in asked), None)


def _items(value: object) -> list[Any]:
    """The inputs of a request that takes a text, texts, token ids, or lists of them."""
    if isinstance(value, list) and value and not isinstance(value[0], int):
        return value
    return ["" if value is None else value]


def _vector(model: str, item: object, size: int) -> list[float]:
    seed = orjson.dumps([model, item])
    numbers = struct.unpack(f">{size}i", hashlib.shake_128(seed).digest(4 * size))
    length = sqrt(sum(number * number for number in numbers))
    return [number / length for number in numbers]
