"""`FakeGemini`: generateContent, countTokens, embeddings and models, as strict as the service."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from tests.fakes.gemini_proto import decode, error
from tests.fakes.gemini_rules import check_request, generation, sign
from tests.fakes.openai import embed
from tests.fakes.reply import Ask, Reply, Tool, count, pieces, reply
from tests.fakes.upstream import JSON, SSE, Answer, FakeUpstream, Json, Recorded

_PATH = re.compile(r"/v1(?:beta)?/models/([^/:]+):(\w+)")
_LIST = re.compile(r"/v1(?:beta)?/models(?:/([^/:]+))?")
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_FINISH = {"length": "MAX_TOKENS", "refusal": "SAFETY"}
_MAX_BATCH = 100


class FakeGemini(FakeUpstream):
    """Serves ``/v1`` and ``/v1beta`` of the Gemini API."""

    models: tuple[str, ...] = (
        *("gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-flash", "gemini-3-pro"),
        "gemini-embedding-001",
    )
    retry_delay = "34s"
    """RetryInfo in a scripted 429; such answers have no Retry-After header."""

    def authorize(self, request: Recorded) -> None:
        key = request.headers.get("x-goog-api-key") or request.query.get("key")
        if not key:
            text = "Method doesn't allow unregistered callers (callers without established identity)."
            raise error(text, 403, "PERMISSION_DENIED")
        if key not in self.keys:
            info = {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID",
                "domain": "googleapis.com",
            }
            raise error("API key not valid. Please pass a valid API key.", 400, "INVALID_ARGUMENT", info)

    def answer(self, request: Recorded) -> Answer:
        if (listed := _LIST.fullmatch(request.path)) and request.method == "GET":
            if listed[1] is None:
                return Answer({"models": [_model(name) for name in self.models]})
            self._serves(listed[1], "get")
            return Answer(_model(listed[1]))
        found = _PATH.fullmatch(request.path)
        if not found or request.method != "POST":
            raise error("Not Found", 404, "NOT_FOUND")
        model, method = found.groups()
        self._serves(model, method)
        body = _body(request)
        if method in ("generateContent", "streamGenerateContent"):
            return self._generate(model, body, request.query.get("alt") if method[0] == "s" else None, method)
        if method == "countTokens":
            return Answer({"totalTokens": _tokens(decode("Count", body))})
        if method == "embedContent":
            return Answer({"embedding": _embedding(decode("Embed", body))})
        if method == "batchEmbedContents":
            return self._batch(model, decode("EmbedBatch", body))
        raise error("Not Found", 404, "NOT_FOUND")

    def error(self, status: int, message: str) -> Json:
        name = _STATUS.get(status, "UNKNOWN")
        shown: Json = {"code": status, "message": message, "status": name}
        if status == 429:
            retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": self.retry_delay}
            shown["details"] = [retry]
        return {"error": shown}

    def _serves(self, model: str, method: str) -> None:
        if model not in self.models:
            text = f"models/{model} is not found for API version v1beta, or is not supported for {method}."
            raise error(text, 404, "NOT_FOUND")

    def _generate(self, model: str, body: Json, alt: str | None, method: str) -> Answer:
        request = decode("Request", body)
        check_request(request, model)
        ask, candidates = _ask(request, model), request.get("generationConfig", {}).get("candidateCount", 1)
        whole = self._response(request, model, [reply(ask, variant) for variant in range(candidates)])
        if method == "generateContent":
            return Answer(whole)
        parts = list(chunks(whole))
        if alt == "sse":
            return Answer(
                events=tuple(b"data: " + orjson.dumps(c) + b"\r\n\r\n" for c in parts), content_type=SSE
            )
        rows = [(b"[" if i == 0 else b",\r\n") + orjson.dumps(chunk) for i, chunk in enumerate(parts)]
        return Answer(events=(*rows, b"]"), content_type=JSON)

    def _batch(self, model: str, batch: Json) -> Answer:
        requests = batch.get("requests") or []
        if not requests:
            raise error("* BatchEmbedContentsRequest.requests: requests is not specified")
        if len(requests) > _MAX_BATCH:
            raise error("* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch")
        if any(item.get("model") != f"models/{model}" for item in requests):
            raise error("* BatchEmbedContentsRequest.requests[0].model: must match the model of the batch")
        return Answer({"embeddings": [_embedding(item) for item in requests]})

    def _response(self, request: Json, model: str, replies: list[Reply]) -> Json:
        prompt = _tokens(request)
        thoughts = sum(r.reasoning_tokens for r in replies)
        output = sum(r.tokens for r in replies) - thoughts
        usage = {"promptTokenCount": prompt, "totalTokenCount": prompt + output + thoughts}
        optional = {
            "candidatesTokenCount": output,
            "thoughtsTokenCount": thoughts,
            "cachedContentTokenCount": min(self.cached, prompt),
        }
        config = request.get("generationConfig", {})
        return {
            "candidates": [self._candidate(index, r, config, model) for index, r in enumerate(replies)],
            "usageMetadata": {**usage, **{name: number for name, number in optional.items() if number}},
            "modelVersion": model,
            "responseId": self.number("resp"),
        }

    def _candidate(self, index: int, said: Reply, config: Json, model: str) -> Json:
        parts: list[Json] = []
        if said.thinking and config.get("thinkingConfig", {}).get("includeThoughts"):
            parts.append({"text": said.thinking, "thought": True})
        if said.text:
            parts.append({"text": said.text})
        for place, call in enumerate(said.calls):
            function: Json = {"name": call.name, "args": call.arguments}
            part: Json = {"functionCall": function}
            if generation(model) >= 3:
                if place == 0:
                    part["thoughtSignature"] = sign(model, function)
                part["functionCall"] = {"id": self.number("fc"), **function}
            parts.append(part)
        candidate: Json = {"finishReason": _FINISH.get(said.finish, "STOP"), "index": index}
        if parts:
            candidate["content"] = {"role": "model", "parts": parts}
        if config.get("responseLogprobs"):
            candidate["logprobsResult"] = _logprobs(said.text, config.get("logprobs", 0))
        return candidate


def chunks(whole: Json) -> Iterator[Json]:
    """The chunks of a stream that says the same as ``whole``; every one repeats the usage."""
    head = {name: whole[name] for name in ("usageMetadata", "modelVersion", "responseId")}
    for candidate in whole["candidates"]:
        index = candidate["index"]
        for part in candidate.get("content", {}).get("parts", ()):
            for piece in [{**part, "text": p} for p in pieces(part["text"])] if "text" in part else [part]:
                yield {
                    "candidates": [{"content": {"role": "model", "parts": [piece]}, "index": index}],
                    **head,
                }
        end = {
            name: candidate[name] for name in ("finishReason", "index", "logprobsResult") if name in candidate
        }
        yield {"candidates": [end], **head}


def _logprobs(text: str, top: int) -> Json:
    tokens = [{"token": piece, "logProbability": -0.25} for piece in pieces(text)]
    ranked = [
        {
            "candidates": [
                {"token": piece + "~" * place, "logProbability": -0.25 * (place + 1)} for place in range(top)
            ]
        }
        for piece in pieces(text)
    ]
    return {"chosenCandidates": tokens, "topCandidates": ranked}


def _body(request: Recorded) -> Json:
    try:
        body = request.json()
    except orjson.JSONDecodeError as wrong:
        raise error(f"Invalid JSON payload received. {wrong}") from None
    if not isinstance(body, dict):
        raise error("Invalid JSON payload received. Root element must be a message.")
    return body


def _tokens(request: Json) -> int:
    shown = [request.get(name) for name in ("systemInstruction", "contents", "tools")]
    return count(orjson.dumps(shown).decode())


def _model(name: str) -> Json:
    methods = ["embedContent"] if "embedding" in name else ["generateContent", "countTokens"]
    limits = {"inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536}
    return {"name": f"models/{name}", "displayName": name, **limits, "supportedGenerationMethods": methods}


def _embedding(request: Json) -> Json:
    parts = request.get("content", {}).get("parts") or []
    text = "".join(part.get("text", "") for part in parts)
    if not text:
        raise error("* EmbedContentRequest.content: content is empty")
    return {"values": embed(text, request.get("outputDimensionality", 8))}


def _ask(request: Json, model: str) -> Ask:
    config = request.get("generationConfig", {})
    turn = request["contents"][-1]["parts"]
    calling = request.get("toolConfig", {}).get("functionCallingConfig", {})
    allowed = calling.get("allowedFunctionNames", [])
    declared = [d for tool in request.get("tools", ()) for d in tool.get("functionDeclarations", ())]
    offered = [d for d in declared if not allowed or d["name"] in allowed]
    forced = None
    if calling.get("mode") == "ANY":
        forced = allowed[0] if len(allowed) == 1 else ""
    schema = config.get("responseJsonSchema", config.get("responseSchema"))
    if schema is None and config.get("responseMimeType") == "application/json":
        schema = {"type": "object"}
    thinking = config.get("thinkingConfig", {})
    return Ask(
        text=" ".join(part["text"] for part in turn if "text" in part),
        tools=tuple(
            Tool(d["name"], d.get("parametersJsonSchema", d.get("parameters")))
            for d in (offered if calling.get("mode") != "NONE" else ())
        ),
        forced=forced,
        results=tuple(_result(part["functionResponse"]) for part in turn if "functionResponse" in part),
        media=tuple(
            (part.get("inlineData") or part["fileData"]).get("mimeType", "file")
            for part in turn
            if "inlineData" in part or "fileData" in part
        ),
        schema=schema,
        reasons=generation(model) >= 3 or thinking.get("thinkingBudget", 0) != 0,
        max_tokens=config.get("maxOutputTokens"),
        stop=tuple(config.get("stopSequences", ())),
    )


def _result(response: Json) -> str:
    value: Any = response.get("response", {})
    values = [item if isinstance(item, str) else orjson.dumps(item).decode() for item in value.values()]
    return " ".join(values)
