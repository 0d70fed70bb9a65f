"""`FakeOpenAI`: chat and legacy completions, responses, embeddings and models, as strict as the service."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import orjson

from tests.fakes.openai_chat import chat_events, completion, completion_events, whole_chat
from tests.fakes.openai_errors import error, missing
from tests.fakes.openai_responses import response_events, whole_response
from tests.fakes.openai_responses_rules import check_response_request
from tests.fakes.openai_rules import check_chat
from tests.fakes.reply import count
from tests.fakes.upstream import JSON, SSE, Answer, FakeUpstream, Json, Recorded

_TYPES = {
    401: "invalid_request_error",
    403: "invalid_request_error",
    429: "requests",
    503: "service_unavailable_error",
}
_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded", 503: "server_is_overloaded"}
MAX_INPUTS = 2048


class FakeOpenAI(FakeUpstream):
    """Serves chat, legacy completions, responses, embeddings and models, at the paths they have at OpenAI."""

    headers: ClassVar[Mapping[str, str]] = {
        "openai-processing-ms": "1",
        "openai-version": "2020-10-01",
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-reset-requests": "6ms",
    }
    models: tuple[str, ...] = (
        *("gpt-4o", "gpt-4o-mini", "gpt-4.1", "o3", "gpt-5", "gpt-5.1", "gpt-5.6-luna"),
        *("gpt-3.5-turbo-instruct", "text-embedding-3-small"),
    )

    def __init__(self, *, keys: Iterable[str] = ("good-key",)) -> None:
        super().__init__(keys=keys)
        self.stored: dict[str, Json] = {}
        """The responses that were given out, by their id."""

    def authorize(self, request: Recorded) -> None:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not key:
            text = (
                "You didn't provide an API key. You need to provide your API key in an Authorization header "
                "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
            )
            raise error(text, status=401)
        if key not in self.keys:
            masked = f"{key[:4]}{'*' * 8}{key[-4:]}"
            raise error(f"Incorrect API key provided: {masked}.", "invalid_api_key", status=401)

    def answer(self, request: Recorded) -> Answer:
        if request.path == "/v1/models" and request.method == "GET":
            return Answer({"object": "list", "data": [_model(name) for name in self.models]})
        if request.path.startswith("/v1/models/") and request.method == "GET":
            name = request.path.removeprefix("/v1/models/")
            self._serves(name)
            return Answer(_model(name))
        serve = {
            "/v1/chat/completions": self._chat,
            "/v1/completions": self._completion,
            "/v1/responses": self._response,
            "/v1/embeddings": self._embeddings,
        }.get(request.path)
        if serve is None:
            raise error(f"Invalid URL ({request.method} {request.path})", status=404)
        if request.method != "POST":
            hint = "(HINT: Perhaps you meant to use a different HTTP method?)"
            text = f"Not allowed to {request.method} on {request.path}. {hint}"
            raise error(text, "method_not_supported", status=405)
        return serve(_body(request))

    def error(self, status: int, message: str) -> Json:
        kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
        return {"error": {"message": message, "type": kind, "param": None, "code": _CODES.get(status)}}

    def _serves(self, model: Any) -> None:
        if not model:
            raise error("you must provide a model parameter")
        if model not in self.models:
            text = f"The model `{model}` does not exist or you do not have access to it."
            raise error(text, "model_not_found", "model", status=404)

    def _chat(self, body: Json) -> Answer:
        self._serves(body.get("model"))
        check_chat(body)
        if "audio" in body["model"] or body["model"].startswith("text-embedding"):
            text = "This is not a chat model and thus not supported in the v1/chat/completions endpoint."
            raise error(text, None, "model", status=404)
        whole = whole_chat(body, self.number, (self.cached, self.cache_written))
        if not body.get("stream"):
            return Answer(whole)
        return Answer(events=tuple(chat_events(whole, body.get("stream_options") or {})), content_type=SSE)

    def _completion(self, body: Json) -> Answer:
        self._serves(body.get("model"))
        if "prompt" not in body:
            raise missing("prompt")
        whole = completion(body, self.number("cmpl-"))
        if not body.get("stream"):
            return Answer(whole)
        return Answer(
            events=tuple(completion_events(whole, body.get("stream_options") or {})), content_type=SSE
        )

    def _response(self, body: Json) -> Answer:
        self._serves(body.get("model"))
        check_response_request(body, self.stored)
        whole = whole_response(body, self.number, self.cached)
        if body.get("store") is not False:
            self.stored[whole["id"]] = whole
        if not body.get("stream"):
            return Answer(whole)
        return Answer(events=tuple(response_events(whole)), content_type=SSE)

    def _embeddings(self, body: Json) -> Answer:
        self._serves(body.get("model"))
        for name in body:
            if name not in ("model", "input", "dimensions", "encoding_format", "user"):
                raise error(f"Unrecognized request argument supplied: {name}")
        inputs = _inputs(body.get("input"))
        form = body.get("encoding_format", "float")
        if form not in ("float", "base64"):
            raise error(f"'{form}' is not one of ['float', 'base64'] - 'encoding_format'")
        data = []
        for index, item in enumerate(inputs):
            vector = embed(item, body.get("dimensions") or 8)
            packed = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
            data.append(
                {"object": "embedding", "index": index, "embedding": vector if form == "float" else packed}
            )
        tokens = sum(count(item) if isinstance(item, str) else len(item) for item in inputs)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return Answer({"object": "list", "data": data, "model": body["model"], "usage": usage})


def embed(item: str | list[int], size: int) -> list[float]:
    """A vector that depends on ``item`` and is exact in 32 bits."""
    codes = [ord(letter) for letter in item] if isinstance(item, str) else item
    return [((sum(codes) + len(codes) * place) % 256) / 256 for place in range(size)]


def _inputs(value: Any) -> list[str | list[int]]:
    tokens = isinstance(value, list) and bool(value) and all(isinstance(item, int) for item in value)
    if tokens or isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not value or any(not item for item in value):
        raise error(
            "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference."
        )
    if len(value) > MAX_INPUTS:
        raise error(
            f"Invalid 'input': array too long. Expected an array with maximum length {MAX_INPUTS}.",
            None,
            "input",
        )
    return value


def _model(name: str) -> Json:
    return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "openai"}


def _body(request: Recorded) -> Json:
    if (kind := request.headers.get("Content-Type", "").partition(";")[0]) != JSON:
        text = f"Unsupported content type: '{kind}'. This API method only accepts '{JSON}' requests."
        raise error(text, "unsupported_content_type")
    try:
        body = request.json()
    except orjson.JSONDecodeError:
        hint = "(HINT: This likely means you aren't using your HTTP library correctly.)"
        raise error(f"We could not parse the JSON body of your request. {hint}") from None
    if not isinstance(body, dict):
        raise error("Invalid type for body: expected an object.", "invalid_type")
    return body
