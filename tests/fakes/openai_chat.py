"""OpenAI's chat and legacy completion answers, whole and as the chunks of a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from tests.fakes.openai_rules import reasons
from tests.fakes.reply import Ask, Reply, Tool, count, pieces, reply
from tests.fakes.upstream import Json

DONE = b"data: [DONE]\n\n"
_FINISH = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool": "tool_calls",
    "refusal": "content_filter",
}
_CREATED = 1_790_000_000
NewId = Callable[[str], str]


def event(value: Any) -> bytes:
    """``value`` as a server-sent event."""
    return b"data: " + orjson.dumps(value) + b"\n\n"


def whole_chat(body: Json, new_id: NewId, cached: tuple[int, int]) -> Json:
    """The ``chat.completion`` that answers ``body``; ``cached``: tokens read from, written to the cache."""
    ask = _ask(body)
    named = isinstance(body.get("tool_choice"), dict)
    replies = [reply(ask, variant) for variant in range(body.get("n") or 1)]
    chat_id = new_id("chatcmpl-")
    prompt = count(orjson.dumps([body["messages"], body.get("tools")]).decode())
    read, written = min(cached[0], prompt), min(cached[1], prompt)
    output, thought = sum(r.tokens for r in replies), sum(r.reasoning_tokens for r in replies)
    return {
        "id": chat_id,
        "object": "chat.completion",
        "created": _CREATED,
        "model": body["model"],
        "choices": [_choice(index, r, body, new_id, named) for index, r in enumerate(replies)],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": output,
            "total_tokens": prompt + output,
            "prompt_tokens_details": {
                "cached_tokens": read,
                "cache_write_tokens": written,
                "audio_tokens": 0,
            },
            "completion_tokens_details": {
                "reasoning_tokens": thought,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": "fp_fake",
    }


def chat_events(whole: Json, options: Mapping[str, Any]) -> Iterator[bytes]:
    """The stream that says the same as ``whole``; usage only if ``options`` ask for it."""
    head = {name: whole[name] for name in ("id", "created", "model", "service_tier", "system_fingerprint")}
    head["object"] = "chat.completion.chunk"
    if options.get("include_usage"):
        head["usage"] = None
    for choice in whole["choices"]:
        for delta, logprobs in _deltas(choice):
            piece = {"index": choice["index"], "delta": delta, "logprobs": logprobs, "finish_reason": None}
            yield event({**head, "choices": [piece]})
        last = {
            "index": choice["index"],
            "delta": {},
            "logprobs": None,
            "finish_reason": choice["finish_reason"],
        }
        yield event({**head, "choices": [last]})
    if options.get("include_usage"):
        yield event({**head, "choices": [], "usage": whole["usage"]})
    yield DONE


def completion(body: Json, completion_id: str) -> Json:
    """The ``text_completion`` that answers ``body``: an echo of every prompt."""
    prompts = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
    if all(isinstance(token, int) for token in prompts):
        prompts = [prompts]
    texts = [prompt if isinstance(prompt, str) else f"{len(prompt)} tokens" for prompt in prompts]
    replies = [reply(Ask(text=text, max_tokens=body.get("max_tokens") or 16)) for text in texts]
    choices = [
        {"index": index, "text": r.text, "logprobs": None, "finish_reason": _FINISH[r.finish]}
        for index, r in enumerate(replies)
    ]
    prompt, output = sum(count(text) for text in texts), sum(r.tokens for r in replies)
    usage = {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
    head = {"id": completion_id, "object": "text_completion", "created": _CREATED, "model": body["model"]}
    return {**head, "choices": choices, "usage": usage}


def completion_events(whole: Json, options: Mapping[str, Any]) -> Iterator[bytes]:
    """The stream that says the same as ``whole``."""
    head = {name: whole[name] for name in ("id", "object", "created", "model")}
    for choice in whole["choices"]:
        for text in pieces(choice["text"]):
            yield event({**head, "choices": [{**choice, "text": text, "finish_reason": None}]})
        yield event({**head, "choices": [{**choice, "text": ""}]})
    if options.get("include_usage"):
        yield event({**head, "choices": [], "usage": whole["usage"]})
    yield DONE


def _ask(body: Json) -> Ask:
    messages = body["messages"]
    turn = next((m for m in reversed(messages) if m["role"] == "user"), {"content": ""})
    parts = (
        turn["content"] if isinstance(turn["content"], list) else [{"type": "text", "text": turn["content"]}]
    )
    results: list[str] = []
    for message in reversed(messages):
        if message["role"] != "tool":
            break
        results.insert(0, _plain(message["content"]))
    stop = body.get("stop") or ()
    return Ask(
        text=" ".join(part["text"] for part in parts if part["type"] == "text"),
        tools=_offered(body),
        forced=_forced(body.get("tool_choice")),
        parallel=body.get("parallel_tool_calls") is not False,
        results=tuple(results),
        media=tuple(_medium(part) for part in parts if part["type"] != "text"),
        schema=_schema(body.get("response_format") or {}),
        reasons=reasons(body["model"]) and body.get("reasoning_effort") != "none",
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
    )


def _plain(content: Any) -> str:
    return content if isinstance(content, str) else " ".join(part["text"] for part in content)


def _offered(body: Json) -> tuple[Tool, ...]:
    choice = body.get("tool_choice")
    if choice == "none":
        return ()
    tools = [tool["function"] for tool in body.get("tools") or () if tool["type"] == "function"]
    if isinstance(choice, dict) and choice["type"] == "allowed_tools":
        allowed = {tool["function"]["name"] for tool in choice["allowed_tools"]["tools"]}
        tools = [tool for tool in tools if tool["name"] in allowed]
    return tuple(Tool(tool["name"], tool.get("parameters")) for tool in tools)


def _forced(choice: Any) -> str | None:
    if isinstance(choice, dict):
        if choice["type"] == "allowed_tools":
            return _forced(choice["allowed_tools"]["mode"])
        return str(choice[choice["type"]]["name"])
    return "" if choice == "required" else None


def _schema(wanted: Json) -> Any:
    if wanted.get("type") == "json_object":
        return {"type": "object"}
    return wanted["json_schema"]["schema"] if wanted.get("type") == "json_schema" else None


def _medium(part: Json) -> str:
    if part["type"] == "image_url":
        url = part["image_url"]["url"]
        return str(url[5:].partition(";")[0]) if url.startswith("data:") else "image/url"
    return f"audio/{part['input_audio']['format']}" if part["type"] == "input_audio" else "file"


def _choice(index: int, r: Reply, body: Json, new_id: NewId, named: bool) -> Json:
    message: Json = {"role": "assistant", "content": r.text, "refusal": None, "annotations": []}
    if r.calls:
        message["content"] = None
        message["tool_calls"] = [
            {
                "id": new_id("call_"),
                "type": "function",
                "function": {"name": call.name, "arguments": orjson.dumps(call.arguments).decode()},
            }
            for call in r.calls
        ]
    logprobs = {"content": _logprobs(r.text, body.get("top_logprobs") or 0), "refusal": None}
    finish = "stop" if named and r.calls else _FINISH[r.finish]
    return {
        "index": index,
        "message": message,
        "logprobs": logprobs if body.get("logprobs") else None,
        "finish_reason": finish,
    }


def _logprobs(text: str, top: int) -> list[Json]:
    return [
        {**_token(piece, 0), "top_logprobs": [_token(piece + "~" * place, place) for place in range(top)]}
        for piece in pieces(text)
    ]


def _token(text: str, place: int) -> Json:
    return {"token": text, "logprob": -0.25 * (place + 1), "bytes": list(text.encode())}


def _deltas(choice: Json) -> Iterator[tuple[Json, Json | None]]:
    message = choice["message"]
    if calls := message.get("tool_calls"):
        for index, call in enumerate(calls):
            function = call["function"]
            first = {**call, "index": index, "function": {"name": function["name"], "arguments": ""}}
            opening = {"role": "assistant", "content": None} if index == 0 else {}
            yield {**opening, "tool_calls": [first]}, None
            for piece in pieces(function["arguments"]):
                yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}, None
        return
    yield {"role": "assistant", "content": "", "refusal": None}, None
    logprobs = (choice["logprobs"] or {}).get("content")
    for place, piece in enumerate(pieces(message["content"])):
        yield {"content": piece}, {"content": [logprobs[place]], "refusal": None} if logprobs else None
