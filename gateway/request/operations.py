"""The operations of the client API, and what makes a request to each of them valid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.api import ApiError
from gateway.dialects import openai_client
from gateway.dialects.client import ClientDialect

MAX_MODEL_NAME = 256
MAX_CHOICES = 128
MAX_EMBEDDING_INPUTS = 2048

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_FORBIDDEN = frozenset(
    {
        "api_base",
        "api_key",
        "api_version",
        "base_url",
        "custom_llm_provider",
        "extra_body",
        "extra_headers",
        "mock_response",
        "mock_testing_fallbacks",
        "organization",
    }
)
"""A request never chooses an upstream address, account or key; other gateways let these through."""

_RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
}
_COUNTS: Mapping[str, tuple[int, int]] = {
    "max_tokens": (1, 10**9),
    "max_completion_tokens": (1, 10**9),
    "n": (1, MAX_CHOICES),
    "top_logprobs": (0, 20),
    "best_of": (1, MAX_CHOICES),
    "dimensions": (1, 10**6),
}
_NUMBERS = frozenset({*_RANGES, *_COUNTS})


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of request: its name is also the provider operation's that serves it as it is."""

    name: str
    check: Callable[[Mapping[str, Any]], None]
    """Raises `ApiError` for a body that no provider could accept."""
    dialect: ClientDialect
    """What its clients speak."""
    writes: bool = True
    """Whether it has output tokens."""
    priced_by_tokens: bool = True
    """Whether an estimate of tokens says what it costs: files and sounds may be billed by other measures."""

    def asked_tokens(self, body: Mapping[str, Any]) -> tuple[str, int] | None:
        """The output limit that the client set: the parameter's name and value."""
        for name in self.dialect.limits:
            if body.get(name) is not None:
                return name, body[name]
        return None


def check_common(body: Mapping[str, Any]) -> None:
    """What holds for every operation. Raises `ApiError`."""
    model = body.get("model")
    if model is None:
        raise _missing("model")
    if not isinstance(model, str):
        raise _wrong_type("model", "a string", model)
    if not model or len(model) > MAX_MODEL_NAME or not model.isprintable():
        raise _invalid("model", f"must be 1 to {MAX_MODEL_NAME} printable characters")
    if not _FORBIDDEN.isdisjoint(body):
        name = min(_FORBIDDEN.intersection(body))
        raise ApiError(
            "unsupported_parameter",
            f"{name!r} is not accepted: providers, addresses and keys are the gateway's to choose.",
            param=name,
        )
    if not _NUMBERS.isdisjoint(body):
        _check_numbers(body)
    if "stream" in body or "stream_options" in body:
        _check_stream(body)


def _check_numbers(body: Mapping[str, Any]) -> None:
    for name in _RANGES.keys() & body.keys():
        if (value := body[name]) is not None:
            low, high = _RANGES[name]
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise _wrong_type(name, "a number", value)
            if not low <= value <= high:
                raise _invalid(name, f"must be between {low} and {high}")
    for name in _COUNTS.keys() & body.keys():
        if (value := body[name]) is not None:
            lowest, highest = _COUNTS[name]
            if isinstance(value, bool) or not isinstance(value, int):
                raise _wrong_type(name, "an integer", value)
            if not lowest <= value <= highest:
                raise _invalid(name, f"must be between {lowest} and {highest}")


def _check_stream(body: Mapping[str, Any]) -> None:
    stream = body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise _wrong_type("stream", "a boolean", stream)
    options = body.get("stream_options")
    if options is None:
        return
    if not isinstance(options, dict):
        raise _wrong_type("stream_options", "an object", options)
    if not stream:
        raise _invalid("stream_options", "is only allowed when 'stream' is true")
    include = options.get("include_usage")
    if include is not None and not isinstance(include, bool):
        raise _wrong_type("stream_options.include_usage", "a boolean", include)


def check_chat(body: Mapping[str, Any]) -> None:
    """Raises `ApiError` unless ``body`` is a chat request in OpenAI's form."""
    check_common(body)
    messages = body.get("messages")
    if messages is None:
        raise _missing("messages")
    if not isinstance(messages, list):
        raise _wrong_type("messages", "an array of objects", messages)
    if not messages:
        raise _invalid("messages", "must hold at least one message")
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise _wrong_type(f"messages[{index}]", "an object", message)
        role = message.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            raise _bad_role(f"messages[{index}].role", role)
        content = message.get("content")
        if not isinstance(content, str) and content is not None:
            _check_parts(f"messages[{index}].content", content)
        if "tool_calls" in message and message["tool_calls"] is not None:
            _check_tool_calls(f"messages[{index}].tool_calls", message["tool_calls"])
    if "tools" in body:
        _check_tools(body)


def _bad_role(where: str, role: Any) -> ApiError:
    if role is None:
        return _missing(where)
    if not isinstance(role, str):
        return _wrong_type(where, "a string", role)
    return _invalid(where, f"must be one of {', '.join(sorted(_ROLES))}")


def _check_parts(where: str, content: Any) -> None:
    if not isinstance(content, list):
        raise _wrong_type(where, "a string or an array of objects", content)
    for index, part in enumerate(content):
        if not isinstance(part, dict):
            raise _wrong_type(f"{where}[{index}]", "an object", part)
        kind = part.get("type")
        if not isinstance(kind, str):
            raise (
                _missing(f"{where}[{index}].type")
                if kind is None
                else _wrong_type(f"{where}[{index}].type", "a string", kind)
            )
        if kind == "text" and not isinstance(part.get("text"), str):
            raise _wrong_type(f"{where}[{index}].text", "a string", part.get("text"))


def _check_tool_calls(where: str, calls: Any) -> None:
    if not isinstance(calls, list):
        raise _wrong_type(where, "an array of objects", calls)
    for index, call in enumerate(calls):
        if not isinstance(call, dict):
            raise _wrong_type(f"{where}[{index}]", "an object", call)
        if not isinstance(call.get("id"), str):
            raise _wrong_type(f"{where}[{index}].id", "a string", call.get("id"))
        function = call.get("function")
        if call.get("type", "function") == "function" and not (
            isinstance(function, dict)
            and isinstance(function.get("name"), str)
            and isinstance(function.get("arguments", ""), str)
        ):
            raise _invalid(f"{where}[{index}].function", "must hold a name and its arguments as strings")


def _check_tools(body: Mapping[str, Any]) -> None:
    tools = body.get("tools")
    if tools is None:
        return
    if not isinstance(tools, list):
        raise _wrong_type("tools", "an array of objects", tools)
    for index, tool in enumerate(tools):
        if not isinstance(tool, dict):
            raise _wrong_type(f"tools[{index}]", "an object", tool)
        function = tool.get("function")
        if tool.get("type") == "function" and not (
            isinstance(function, dict) and isinstance(function.get("name"), str)
        ):
            raise _missing(f"tools[{index}].function.name")


def check_completion(body: Mapping[str, Any]) -> None:
    """Raises `ApiError` unless ``body`` is a legacy completion request."""
    check_common(body)
    _check_input("prompt", body.get("prompt"))


def check_embedding(body: Mapping[str, Any]) -> None:
    """Raises `ApiError` unless ``body`` is an embedding request."""
    check_common(body)
    _check_input("input", body.get("input"))
    if body.get("encoding_format") not in (None, "float", "base64"):
        raise _invalid("encoding_format", "must be 'float' or 'base64'")


def _check_input(name: str, value: Any) -> None:
    """A string, a list of strings, a list of tokens or a list of lists of tokens; nothing empty."""
    if value is None:
        raise _missing(name)
    if isinstance(value, str):
        if not value and name == "input":
            raise _invalid(name, "must not be empty")
        return
    if not isinstance(value, list):
        raise _wrong_type(name, "a string or an array", value)
    if not 1 <= len(value) <= MAX_EMBEDDING_INPUTS:
        raise _invalid(name, f"must hold 1 to {MAX_EMBEDDING_INPUTS} items")
    kind = type(value[0])
    if kind not in (str, int, list) or any(type(item) is not kind for item in value):
        raise _invalid(name, "must be strings only, tokens only or lists of tokens only")
    if kind is list and not all(item and all(type(token) is int for token in item) for item in value):
        raise _invalid(name, "must not hold an empty list or anything but tokens in it")
    if kind is str and name == "input" and not all(value):
        raise _invalid(name, "must not hold an empty string")


def _missing(name: str) -> ApiError:
    return ApiError("missing_required_parameter", f"Missing required parameter: '{name}'.", param=name)


def _wrong_type(name: str, expected: str, value: Any) -> ApiError:
    kinds = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    got = kinds.get(type(value), "a number")
    message = f"Invalid type for '{name}': expected {expected}, but got {got} instead."
    return ApiError("invalid_type", message, param=name)


def _invalid(name: str, rule: str) -> ApiError:
    return ApiError("invalid_value", f"Invalid value: '{name}' {rule}.", param=name)


CHAT = Operation("chat", check_chat, openai_client.CHAT)
COMPLETIONS = Operation("completions", check_completion, openai_client.COMPLETIONS)
EMBEDDINGS = Operation("embeddings", check_embedding, openai_client.EMBEDDINGS, writes=False)
MODELS = Operation("models", lambda body: None, openai_client.CHAT)

_DIALECTS: Mapping[str, ClientDialect] = {}
"""What clients speak at a path, and below it, if it is not OpenAI's chat."""


def dialect_at(path: str) -> ClientDialect:
    """The dialect of whoever sent a request to ``path``, which may be none of ours."""
    path = path.removeprefix("/api")
    for root, dialect in _DIALECTS.items():
        if path == root or path.startswith(f"{root}/"):
            return dialect
    return openai_client.CHAT
