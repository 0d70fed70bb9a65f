"""`FakeAnthropic`: the Messages API, token counting and models, as strict as the service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import orjson

from tests.fakes.anthropic_models import MODELS, Traits, thinking_on, traits
from tests.fakes.anthropic_rules import check_messages, error
from tests.fakes.anthropic_thinking import check_model, check_signatures, sign
from tests.fakes.reply import Ask, Reply, Tool, count, pieces, reply
from tests.fakes.upstream import SSE, Answer, FakeUpstream, Json, Recorded

VERSIONS = ("2023-06-01", "2026-10-21")
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_STOP = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool": "tool_use",
    "refusal": "refusal",
}


class FakeAnthropic(FakeUpstream):
    """Serves ``/v1/messages``, ``/v1/messages/count_tokens`` and ``/v1/models``."""

    request_id_header = "request-id"
    headers: ClassVar[Mapping[str, str]] = {
        "anthropic-organization-id": "org-fake",
        "anthropic-ratelimit-requests-limit": "4000",
        "anthropic-ratelimit-requests-remaining": "3999",
        "anthropic-ratelimit-requests-reset": "2026-11-20T12:00:00Z",
    }
    models: tuple[str, ...] = MODELS

    def authorize(self, request: Recorded) -> None:
        key = request.headers.get("x-api-key") or request.headers.get("Authorization", "").removeprefix(
            "Bearer "
        )
        if not key:
            raise error("x-api-key header is required", 401, "authentication_error")
        if key not in self.keys:
            raise error("invalid x-api-key", 401, "authentication_error")

    def answer(self, request: Recorded) -> Answer:
        if request.method == "HEAD":
            return Answer({})
        version = request.headers.get("anthropic-version")
        if version is None:
            raise error("anthropic-version: header is required")
        if version not in VERSIONS:
            raise error(f'anthropic-version: "{version}" is not a valid version')
        if request.path == "/v1/models" and request.method == "GET":
            data = [_model(name) for name in self.models]
            return Answer(
                {"data": data, "has_more": False, "first_id": data[0]["id"], "last_id": data[-1]["id"]}
            )
        if request.path not in ("/v1/messages", "/v1/messages/count_tokens"):
            raise error("Not Found", 404, "not_found_error")
        if request.method != "POST":
            raise error("Method Not Allowed", 405)
        body = _body(request)
        model = body.get("model")
        rules = traits(model if isinstance(model, str) else "")
        counting = request.path.endswith("count_tokens")
        check_messages(body, rules, counting=counting)
        if model not in self.models:
            raise error(f"model: {model}", 404, "not_found_error")
        if counting:
            return Answer({"input_tokens": _prompt_tokens(body)})
        check_model(body, rules, version)
        check_signatures(body, rules)
        whole = self._message(body, rules)
        return Answer(events=tuple(events(whole)), content_type=SSE) if body.get("stream") else Answer(whole)

    def error(self, status: int, message: str) -> Json:
        kind = _KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return self.refusal({"type": "error", "error": {"type": kind, "message": message}})

    def refusal(self, body: Json) -> Json:
        return {**body, "request_id": f"req_{len(self.requests):08d}"}

    def _message(self, body: Json, rules: Traits) -> Json:
        said = reply(_ask(body, rules))
        prompt = _prompt_tokens(body)
        read = min(self.cached, prompt)
        written = min(self.cache_written, prompt - read)
        return {
            "id": self.number("msg_"),
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": list(self._content(body, rules, said)),
            "stop_reason": _STOP[said.finish],
            "stop_sequence": said.stopped_by,
            "stop_details": None,
            "usage": {
                "input_tokens": prompt - read - written,
                "cache_creation_input_tokens": written,
                "cache_read_input_tokens": read,
                "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
                "output_tokens": said.tokens,
                "output_tokens_details": {"thinking_tokens": said.reasoning_tokens},
                "service_tier": "standard",
            },
        }

    def _content(self, body: Json, rules: Traits, said: Reply) -> Iterator[Json]:
        if said.thinking:
            display = (body.get("thinking") or {}).get(
                "display", "omitted" if rules.always_thinks else "summarized"
            )
            shown = "" if display == "omitted" else said.thinking
            signature = sign(body, len(body["messages"]), shown, rules)
            yield {"type": "thinking", "thinking": shown, "signature": signature}
        if said.text:
            yield {"type": "text", "text": said.text}
        for call in said.calls:
            yield {
                "type": "tool_use",
                "id": self.number("toolu_"),
                "name": call.name,
                "input": call.arguments,
            }


def events(whole: Json) -> Iterator[bytes]:
    """The stream that says the same as ``whole``, with a ping and an event nobody knows in between."""
    start_usage = {**whole["usage"], "output_tokens": 1}
    start = {**whole, "content": [], "stop_reason": None, "stop_sequence": None, "usage": start_usage}
    yield _event({"type": "message_start", "message": start})
    yield _event({"type": "ping"})
    for index, block in enumerate(whole["content"]):
        empty, deltas = _deltas(block)
        yield _event({"type": "content_block_start", "index": index, "content_block": empty})
        for delta in deltas:
            yield _event({"type": "content_block_delta", "index": index, "delta": delta})
        yield _event({"type": "content_block_stop", "index": index})
    yield _event({"type": "fake_unknown_event"})
    delta = {name: whole[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    yield _event({"type": "message_delta", "delta": delta, "usage": whole["usage"]})
    yield _event({"type": "message_stop"})


def _event(value: Json) -> bytes:
    name: str = value["type"]
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(value) + b"\n\n"


def _deltas(block: Json) -> tuple[Json, list[Json]]:
    """The block as it starts, and what is added to it."""
    if block["type"] == "text":
        return {"type": "text", "text": ""}, [
            {"type": "text_delta", "text": p} for p in pieces(block["text"])
        ]
    if block["type"] == "thinking":
        thoughts = [{"type": "thinking_delta", "thinking": p} for p in pieces(block["thinking"])]
        signature = {"type": "signature_delta", "signature": block["signature"]}
        return {"type": "thinking", "thinking": "", "signature": ""}, [*thoughts, signature]
    text = orjson.dumps(block["input"]).decode() if block["input"] else ""
    parts = ["", *pieces(text)]
    return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": part} for part in parts]


def _body(request: Recorded) -> Json:
    try:
        body = request.json()
    except orjson.JSONDecodeError as wrong:
        raise error(f"The request body is not valid JSON: {wrong}") from None
    if not isinstance(body, dict):
        raise error("Input should be a valid dictionary or object to extract fields from")
    return body


def _prompt_tokens(body: Json) -> int:
    return count(orjson.dumps([body.get("system"), body["messages"], body.get("tools")]).decode())


def _model(name: str) -> Json:
    shown = {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"}
    return {**shown, "max_input_tokens": 200_000, "max_tokens": traits(name).max_tokens}


def _ask(body: Json, rules: Traits) -> Ask:
    last = body["messages"][-1]
    turn: list[Json] = []
    for message in reversed(body["messages"]):  # turns of one role in a row are one turn
        if message["role"] not in (last["role"], "system"):
            break
        if message["role"] != "system":
            turn[:0] = _as_blocks(message["content"])
    choice = body.get("tool_choice") or {"type": "auto"}
    tools = [] if choice["type"] == "none" else body.get("tools") or []
    return Ask(
        text=" ".join(block["text"] for block in turn if block["type"] == "text"),
        tools=tuple(Tool(tool["name"], tool["input_schema"]) for tool in tools),
        forced={"any": "", "tool": choice.get("name")}.get(choice["type"]),
        parallel=not choice.get("disable_parallel_tool_use"),
        results=tuple(_result(block) for block in turn if block["type"] == "tool_result"),
        media=tuple(_medium(block) for block in turn if block["type"] in ("image", "document")),
        schema=((body.get("output_config") or {}).get("format") or {}).get("schema"),
        reasons=thinking_on(body, rules),
        max_tokens=body["max_tokens"],
        stop=tuple(body.get("stop_sequences") or ()),
    )


def _as_blocks(content: Any) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _result(block: Json) -> str:
    inner = _as_blocks(block.get("content", ""))
    return " ".join(part["text"] if part["type"] == "text" else _medium(part) for part in inner)


def _medium(block: Json) -> str:
    source = block["source"]
    return str(source.get("media_type") or f"{block['type']}/{source['type']}")
