"""Messages streamed as Anthropic does it, and chunks put together as OpenAI's clients do it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from hypothesis import strategies as st

from gateway.api import Call, Chunk
from gateway.dialects.messages.stream import StreamReader

Json = dict[str, Any]
WIRE = Path(__file__).parents[2] / "wire" / "claude"

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_values = st.none() | st.booleans() | st.integers(-9, 9) | _texts
_blocks = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, _texts),
    st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "c2ln"}, _texts),
    st.just({"type": "redacted_thinking", "data": "ZGF0YQ=="}),
    st.builds(
        lambda number, arguments: {
            "type": "tool_use",
            "id": f"toolu_{number}",
            "name": "f",
            "input": arguments,
        },
        st.integers(0, 9),
        st.dictionaries(_texts, _values | st.lists(_values, max_size=2), max_size=3),
    ),
)


@st.composite
def messages(draw: st.DrawFn) -> Json:
    """Whole answers."""
    thoughts = draw(st.integers(0, 5))
    usage = {
        "input_tokens": draw(st.integers(0, 99)),
        "cache_read_input_tokens": draw(st.integers(0, 99)),
        "output_tokens": 10,
        "output_tokens_details": {"thinking_tokens": thoughts},
    }
    reasons = [
        "end_turn",
        "max_tokens",
        "stop_sequence",
        "tool_use",
        "pause_turn",
        "refusal",
        "model_context_window_exceeded",
    ]
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": draw(st.lists(_blocks, max_size=5)),
        "stop_reason": draw(st.sampled_from(reasons)),
        "usage": usage,
    }


def encode(event: Json, newline: bytes = b"\n") -> bytes:
    name: str = event["type"]
    return b"event: " + name.encode() + newline + b"data: " + orjson.dumps(event) + newline * 2


def _pieces(draw: st.DrawFn, text: str) -> list[str]:
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def _block_events(draw: st.DrawFn, block: Json) -> tuple[Json, list[Json]]:
    """What a block starts with, and its deltas."""
    kind = block["type"]
    if kind == "text":
        deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(draw, block["text"])]
        return {**block, "text": ""}, deltas
    if kind == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(draw, block["thinking"])]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
        return {**block, "thinking": "", "signature": ""}, deltas
    if kind == "tool_use":
        text = orjson.dumps(block["input"]).decode() if block["input"] else ""
        return {**block, "input": {}}, [
            {"type": "input_json_delta", "partial_json": p} for p in _pieces(draw, text)
        ]
    return block, []


@st.composite
def streamed(draw: st.DrawFn) -> tuple[Json, bytes]:
    """A message and its stream."""
    message = draw(messages())
    usage = message["usage"]
    start = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    events: list[Json] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(message["content"]):
        begin, deltas = _block_events(draw, block)
        events.append({"type": "content_block_start", "index": index, "content_block": begin})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events += draw(st.sampled_from([[], [{"type": "ping"}], [{"type": "new_event", "x": 1}]]))
        events.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    events.append(
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": usage["output_tokens"]}}
    )
    events.append({"type": "message_stop"})
    newline = draw(st.sampled_from([b"\n", b"\r\n"]))
    return message, b"".join([encode(event, newline) for event in events])


def read(*parts: bytes, include_usage: bool = False) -> tuple[StreamReader, list[Chunk]]:
    reader = StreamReader(Call("chat", "m", {}, stream=True, include_usage=include_usage))
    chunks = [chunk for part in parts for chunk in reader.feed(part)]
    return reader, chunks + reader.finish()


def values(chunks: list[Chunk]) -> list[Json]:
    """The chunks' values without the time."""
    found = [chunk.value for chunk in chunks if chunk.value is not None]
    assert len(found) == len(chunks)
    return [{key: value for key, value in item.items() if key != "created"} for item in found]


def assemble(chunks: list[Json]) -> Json:
    """The choice of a ``chat.completion`` that the chunks add up to."""
    message: Json = {"role": "assistant", "content": "", "refusal": None}
    reason = None
    for chunk in chunks:
        for choice in chunk["choices"]:
            reason = choice["finish_reason"] or reason
            for key, value in choice["delta"].items():
                if isinstance(value, list):
                    for item in value:
                        _merge(message.setdefault(key, []), item)
                elif key != "role":
                    message[key] = (message.get(key) or "") + value if value else message.get(key)
    if not message["content"] and message.get("tool_calls"):
        message["content"] = None
    return {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}


def _merge(items: list[Json], item: Json) -> None:
    fields = {key: value for key, value in item.items() if key != "index"}
    if item["index"] == len(items):
        items.append(fields)
    else:
        items[item["index"]]["function"]["arguments"] += fields["function"]["arguments"]
