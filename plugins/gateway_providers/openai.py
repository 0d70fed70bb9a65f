"""OpenAI: requests go up as they came, but for the model, the key and the operator's ceiling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar

import orjson

from gateway.api import Call, Outcome, Reader, Upstream
from gateway.dialects import chat_errors, passed
from gateway.dialects.chat import NativeReader
from gateway.dialects.chat_body import BodyReader, EmbeddingsReader
from gateway.dialects.chat_media import for_openai
from gateway.dialects.gemini_signature import bare_id, is_packed
from gateway.dialects.headroom import OPENAI, Announced
from gateway.dialects.passed import PASSED
from gateway.dialects.responses.native import native_body
from gateway.dialects.responses.reader import BodyReader as ResponseReader
from gateway.dialects.responses.reader import StreamReader as ResponseStreamReader
from gateway_providers.openai_models import fit

PATHS = {
    "chat": "/chat/completions",
    "completions": "/completions",
    "embeddings": "/embeddings",
    "responses": "/responses",
    "moderations": "/moderations",
    "images": "/images/generations",
    "speech": "/audio/speech",
    "transcriptions": "/audio/transcriptions",
    "translations": "/audio/translations",
    "rerank": "/rerank",
}
_RESPONSES = {"responses": "responses"}
_OPENAIS = frozenset({"chat", "completions"})
_CEILINGS = ("max_completion_tokens", "max_tokens")
_CALL_EXTENSION = "extra_content"
_MESSAGE_EXTENSIONS = frozenset({"reasoning_content", "reasoning_details", "images", _CALL_EXTENSION})


def natively(*operations: str) -> Mapping[str, str]:
    """These operations, each in its own dialect."""
    return {name: name for name in operations}


@dataclass(frozen=True, slots=True)
class OpenAI:
    """The OpenAI API, or what is its equal."""

    served: ClassVar[Mapping[str, str]] = natively(
        "chat", "completions", "embeddings", *sorted(PASSED - {"rerank"})
    )
    """What it serves, beside the Responses API."""
    headroom: ClassVar[Announced] = OPENAI

    base_url: str = "https://api.openai.com"
    """With or without the trailing ``/v1``."""
    organization: str | None = None
    """Sent as ``OpenAI-Organization``."""
    project: str | None = None
    """Sent as ``OpenAI-Project``."""
    responses_api: bool = True
    """Whether the server has ``/v1/responses``; false: such requests are translated to chats."""
    stateful: bool = False
    """Whether clients may name what the account stores (``previous_response_id``, files, …)."""
    operations: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        served = self._endpoints()
        object.__setattr__(self, "operations", {**served, **_RESPONSES} if self.responses_api else served)

    def _endpoints(self) -> Mapping[str, str]:
        return self.served

    def prepare(self, call: Call, secret: str) -> Upstream:
        """The client's request, addressed; see the module's description."""
        url = self._url(PATHS[call.operation])
        if call.upload is not None:
            form = call.upload.addressed(call.model)
            return Upstream("POST", url, self._headers(secret, form.content_type), b"", form=form)
        if call.operation in PASSED:
            body = {**call.body, "model": call.model}
            return Upstream("POST", url, self._headers(secret), orjson.dumps(body))
        body = self._body(call)
        dropped: tuple[str, ...] = ()
        if _is_translated(call):
            body["messages"] = for_openai(body["messages"])
            dropped = self._without_strange(body)
        return Upstream("POST", url, self._headers(secret), orjson.dumps(body), dropped)

    def reader(self, call: Call) -> Reader:
        """A fresh reader for the answer to ``call``."""
        return native_reader(call)

    def diagnose(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Say what a non-2xx answer means."""
        return chat_errors.diagnose(status, headers, body)

    def _url(self, path: str) -> str:
        return f"{_root(self.base_url)}/v1{path}"

    def _headers(self, secret: str, content_type: str = "application/json") -> list[tuple[str, str]]:
        headers = [("content-type", content_type), *self._credentials(secret)]
        if self.organization:
            headers.append(("openai-organization", self.organization))
        if self.project:
            headers.append(("openai-project", self.project))
        return headers

    def _credentials(self, secret: str) -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {secret}")]

    def _without_strange(self, body: dict[str, Any]) -> tuple[str, ...]:
        """Take out what a request in another dialect may ask for, and the server does not know; say what.
        Raises `Unsupported` for what cannot be left out."""
        return fit(body)

    def _body(self, call: Call) -> dict[str, Any]:
        if call.operation == "responses":
            return native_body(call, stateful=self.stateful)
        body = addressed(call, "max_completion_tokens" if call.operation == "chat" else "max_tokens")
        if call.stream:
            ask_for_usage(body)
        if call.operation == "chat":
            body["messages"] = without_extensions(body["messages"])
        return body


@cache
def _root(base_url: str) -> str:
    return base_url.rstrip("/").removesuffix("/v1")


def native_reader(call: Call) -> Reader:
    """A reader for what an OpenAI-shaped upstream answers to ``call``."""
    if call.operation == "responses":
        return ResponseStreamReader() if call.stream else ResponseReader()
    if call.operation in PASSED:
        return passed.reader(call)
    if call.stream:
        return NativeReader(call)
    return EmbeddingsReader(call) if call.operation == "embeddings" else BodyReader(call)


def addressed(call: Call, ceiling: str) -> dict[str, Any]:
    """A copy of the body with the upstream's model and the operator's ceiling in it.

    ``ceiling`` names the parameter that gets it if the client sent neither of the two there are, and the
    client's own limit where its request was no chat: which of the two is asked for is then ours to say.
    """
    body = {**call.body, "model": call.model}
    if _is_translated(call):
        _rename_limit(body, ceiling)
    if (highest := call.max_tokens) is not None:
        sent = {name: value for name in _CEILINGS if (value := body.get(name)) is not None}
        body.update({name: min(value, highest) for name, value in sent.items()} or {ceiling: highest})
    return body


def _is_translated(call: Call) -> bool:
    """Whether the chat was made of a request in another dialect."""
    return call.operation == "chat" and call.dialect not in _OPENAIS


def _rename_limit(body: dict[str, Any], name: str) -> None:
    for other in _CEILINGS:
        if other != name and other in body:
            body[name] = body.pop(other)


def ask_for_usage(body: dict[str, Any]) -> None:
    """Have the stream end with a usage chunk, whatever else the client wants of it."""
    options = body.get("stream_options")
    body["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}


def without_extensions(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages without the fields that this gateway adds to answers, and without the signatures in the
    ids of Gemini's calls: a client sends them back with the history, and OpenAI refuses them (ids of more
    than 40 characters). The same list if there are none."""
    for message in messages:
        if _extended(message):
            return [_plain(message) if _extended(message) else message for message in messages]
    return messages


def _extended(message: dict[str, Any]) -> bool:
    if not _MESSAGE_EXTENSIONS.isdisjoint(message):
        return True
    if "tool_call_id" in message and is_packed(message["tool_call_id"]):
        return True
    return "tool_calls" in message and any(
        _CALL_EXTENSION in call or is_packed(call["id"]) for call in message["tool_calls"] or ()
    )


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    plain = {name: value for name, value in message.items() if name not in _MESSAGE_EXTENSIONS}
    if calls := plain.get("tool_calls"):
        plain["tool_calls"] = [
            {
                name: bare_id(value) if name == "id" else value
                for name, value in call.items()
                if name != _CALL_EXTENSION
            }
            for call in calls
        ]
    if is_packed(plain.get("tool_call_id")):
        plain["tool_call_id"] = bare_id(plain["tool_call_id"])
    return plain
