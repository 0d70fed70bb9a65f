"""What every request must be, whatever it asks for; and the errors for one that is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.api import ApiError

Check = Callable[[str, Mapping[str, Any]], None]
"""Of an object in a request, at the place that is named."""

MAX_MODEL_NAME = 256
MAX_CHOICES = 128
MAX_TOKENS = 10**9

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
    "max_tokens": (1, MAX_TOKENS),
    "max_completion_tokens": (1, MAX_TOKENS),
    "n": (1, MAX_CHOICES),
    "top_logprobs": (0, 20),
    "best_of": (1, MAX_CHOICES),
    "dimensions": (1, 10**6),
}
_NUMBERS = frozenset({*_RANGES, *_COUNTS})


def check_common(body: Mapping[str, Any]) -> None:
    """What holds for every operation of OpenAI's. Raises `ApiError`."""
    check_addressed(body)
    if not _NUMBERS.isdisjoint(body):
        check_ranges(body, _RANGES)
        check_counts(body, _COUNTS)
    if "stream" in body or "stream_options" in body:
        _check_stream(body)


def check_addressed(body: Mapping[str, Any]) -> None:
    """What holds for every operation: it names a model, and nothing that is not the client's to choose.
    Raises `ApiError`."""
    model = body.get("model")
    if model is None:
        raise missing("model")
    if not isinstance(model, str):
        raise wrong_type("model", "a string", model)
    if not model or len(model) > MAX_MODEL_NAME or not model.isprintable():
        raise invalid("model", f"must be 1 to {MAX_MODEL_NAME} printable characters")
    if not _FORBIDDEN.isdisjoint(body):
        name = min(_FORBIDDEN.intersection(body))
        raise ApiError(
            "unsupported_parameter",
            f"{name!r} is not accepted: providers, addresses and keys are the gateway's to choose.",
            param=name,
        )


def check_ranges(body: Mapping[str, Any], ranges: Mapping[str, tuple[float, float]]) -> None:
    """The numbers that there are of these stay within their bounds. Raises `ApiError`."""
    for name in ranges.keys() & body.keys():
        if (value := body[name]) is not None:
            low, high = ranges[name]
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise wrong_type(name, "a number", value)
            if not low <= value <= high:
                raise invalid(name, f"must be between {low} and {high}")


def check_counts(body: Mapping[str, Any], counts: Mapping[str, tuple[int, int]]) -> None:
    """The same for whole numbers."""
    for name in counts.keys() & body.keys():
        if (value := body[name]) is not None:
            lowest, highest = counts[name]
            if isinstance(value, bool) or not isinstance(value, int):
                raise wrong_type(name, "an integer", value)
            if not lowest <= value <= highest:
                raise invalid(name, f"must be between {lowest} and {highest}")


def _check_stream(body: Mapping[str, Any]) -> None:
    stream = body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise wrong_type("stream", "a boolean", stream)
    options = body.get("stream_options")
    if options is None:
        return
    if not isinstance(options, dict):
        raise wrong_type("stream_options", "an object", options)
    if not stream:
        raise invalid("stream_options", "is only allowed when 'stream' is true")
    include = options.get("include_usage")
    if include is not None and not isinstance(include, bool):
        raise wrong_type("stream_options.include_usage", "a boolean", include)


def check_text(where: str, value: Any) -> str:
    """The value, if there is one and it is a string. Raises `ApiError`."""
    if value is None:
        raise missing(where)
    if not isinstance(value, str):
        raise wrong_type(where, "a string", value)
    return value


def check_objects(where: str, value: Any, check: Check, expected: str = "an array of objects") -> None:
    """An array of objects, each of which ``check`` takes with its place. Raises `ApiError`."""
    if not isinstance(value, list):
        raise wrong_type(where, expected, value)
    for index, item in enumerate(value):
        place = f"{where}[{index}]"
        if not isinstance(item, dict):
            raise wrong_type(place, "an object", item)
        check(place, item)


def check_content(where: str, content: Any, check: Check) -> None:
    """The same, or a string. Raises `ApiError`."""
    if isinstance(content, str):
        return
    if content is None:
        raise missing(where)
    check_objects(where, content, check, "a string or an array of objects")


def messages_of(body: Mapping[str, Any]) -> list[Any]:
    """The turns of a conversation, whatever they are: one at least. Raises `ApiError`."""
    messages = body.get("messages")
    if messages is None:
        raise missing("messages")
    if not isinstance(messages, list):
        raise wrong_type("messages", "an array of objects", messages)
    if not messages:
        raise invalid("messages", "must hold at least one message")
    return messages


def missing(name: str) -> ApiError:
    return ApiError("missing_required_parameter", f"Missing required parameter: '{name}'.", param=name)


def wrong_type(name: str, expected: str, value: Any) -> ApiError:
    kinds = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    got = kinds.get(type(value), "a number")
    message = f"Invalid type for '{name}': expected {expected}, but got {got} instead."
    return ApiError("invalid_type", message, param=name)


def invalid(name: str, rule: str) -> ApiError:
    return ApiError("invalid_value", f"Invalid value: '{name}' {rule}.", param=name)
