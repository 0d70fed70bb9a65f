"""OpenAI's responses, whole and as the events of a stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from tests.fakes.openai_chat import NewId
from tests.fakes.openai_rules import reasons
from tests.fakes.reply import Ask, Reply, Tool, count, pieces, reply
from tests.fakes.upstream import Json

_CREATED = 1_790_000_000
_ECHOED: Mapping[str, Any] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


def whole_response(body: Json, new_id: NewId, cached: int) -> Json:
    """The response that answers ``body``; ``cached``: tokens read from the cache."""
    answer = reply(_ask(body))
    prompt = count(orjson.dumps([body["input"], body.get("instructions"), body.get("tools")]).decode())
    status = {"length": "incomplete", "refusal": "completed"}.get(answer.finish, "completed")
    return {
        "id": new_id("resp_"),
        "object": "response",
        "created_at": _CREATED,
        "status": status,
        **{name: body.get(name, default) for name, default in _ECHOED.items()},
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "model": body["model"],
        "output": _output(answer, body, new_id, status),
        "service_tier": "default",
        "usage": {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": min(cached, prompt), "cache_write_tokens": 0},
            "output_tokens": answer.tokens,
            "output_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
            "total_tokens": prompt + answer.tokens,
        },
    }


def response_events(whole: Json) -> Iterator[bytes]:
    """The stream that says the same as ``whole``."""
    for number, value in enumerate(_told(whole)):
        value["sequence_number"] = number
        yield named_event(value)


def named_event(value: Json) -> bytes:
    """``value`` as a server-sent event that is named after its type."""
    return b"event: %b\ndata: %b\n\n" % (value["type"].encode(), orjson.dumps(value))


def _told(whole: Json) -> Iterator[Json]:
    begun = {**whole, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(whole["output"]):
        blank: Json = {"content": []} if item["type"] == "message" else {}
        if item["type"] == "function_call":
            blank = {"arguments": ""}
        opened = {**item, **blank, **({"status": "in_progress"} if "status" in item else {})}
        yield {"type": "response.output_item.added", "output_index": index, "item": opened}
        for event in _item(item):
            yield {**event, "item_id": item["id"], "output_index": index}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": f"response.{whole['status']}", "response": whole}


def _item(item: Json) -> Iterator[Json]:
    if item["type"] == "function_call":
        for piece in pieces(item["arguments"]):
            yield {"type": "response.function_call_arguments.delta", "delta": piece}
        done = {"name": item["name"], "arguments": item["arguments"]}
        yield {"type": "response.function_call_arguments.done", **done}
    if item["type"] != "message":
        return
    for place, part in enumerate(item["content"]):
        kind, at = part["type"], {"content_index": place}
        field = "refusal" if kind == "refusal" else "text"
        more: Json = {} if kind == "refusal" else {"logprobs": []}
        yield {"type": "response.content_part.added", **at, "part": {**part, field: ""}}
        for piece in pieces(part[field]):
            yield {"type": f"response.{kind}.delta", **at, "delta": piece, **more}
        yield {"type": f"response.{kind}.done", **at, field: part[field], **more}
        yield {"type": "response.content_part.done", **at, "part": part}


def _output(answer: Reply, body: Json, new_id: NewId, status: str) -> list[Json]:
    output: list[Json] = []
    if answer.thinking:  # which is kept: the client gets what it needs to send it back
        sealed = "reasoning.encrypted_content" in (body.get("include") or ())
        thought: Json = {"id": new_id("rs_"), "type": "reasoning", "summary": []}
        output.append({**thought, **({"encrypted_content": "gAAAA-fake"} if sealed else {})})
    output += [
        {
            "id": new_id("fc_"),
            "type": "function_call",
            "status": "completed",
            "call_id": new_id("call_"),
            "name": call.name,
            "arguments": orjson.dumps(call.arguments).decode(),
        }
        for call in answer.calls
    ]
    if not answer.calls:
        part: Json = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
        if answer.finish == "refusal":
            part = {"type": "refusal", "refusal": "I cannot help with that."}
        message = {"id": new_id("msg_"), "type": "message", "role": "assistant"}
        output.append({**message, "status": status, "content": [part]})
    return output


def _ask(body: Json) -> Ask:
    given = body["input"]
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    turn = next((item for item in reversed(items) if item.get("role") == "user"), {"content": ""})
    content = turn["content"]
    parts = [{"type": "input_text", "text": content}] if isinstance(content, str) else content
    results: list[str] = []
    for item in reversed(items):
        if item.get("type") != "function_call_output":
            break
        results.insert(0, _plain(item["output"]))
    choice = body.get("tool_choice")
    tools = [tool for tool in body.get("tools") or () if tool["type"] == "function" and choice != "none"]
    return Ask(
        text=" ".join(part["text"] for part in parts if part["type"] == "input_text"),
        tools=tuple(Tool(tool["name"], tool.get("parameters")) for tool in tools),
        forced=choice["name"] if isinstance(choice, dict) else "" if choice == "required" else None,
        parallel=body.get("parallel_tool_calls") is not False,
        results=tuple(results),
        media=tuple(_medium(part) for part in parts if part["type"] != "input_text"),
        schema=_schema((body.get("text") or {}).get("format") or {}),
        reasons=reasons(body["model"]) and (body.get("reasoning") or {}).get("effort") != "none",
        max_tokens=body.get("max_output_tokens"),
    )


def _plain(output: Any) -> str:
    return output if isinstance(output, str) else " ".join(part["text"] for part in output)


def _schema(wanted: Json) -> Any:
    return {"type": "object"} if wanted.get("type") == "json_object" else wanted.get("schema")


def _medium(part: Json) -> str:
    if part["type"] == "input_image":
        url = part["image_url"]
        return str(url[5:].partition(";")[0]) if url.startswith("data:") else "image/url"
    return "file"
