"""Token figures in OpenAI's shape: read into disjoint classes, written back, and given a cost."""

from __future__ import annotations

import re
from typing import Any

import orjson

from gateway.api import Usage
from gateway.dialects import lenient
from gateway.dialects.count import count
from gateway.dialects.sse import whole_events

_NANO = 10**9
_KEY = b'"usage"'
_BACKSLASH = ord("\\")
_OPENED = re.compile(rb"\s*:\s*\{\s*(\})?")


def parse_usage(value: object, *, writes: bool = True) -> Usage | None:
    """The ``usage`` of a chat completion, a completion or an embedding; None if it makes no sense.

    It counts as an estimate where it does not say how much was written. If nothing is (``writes``), the total
    is what was read, where that is all it says.
    OpenAI's details are parts of its totals; a part larger than its total is cut down to it.
    """
    if not isinstance(value, dict):
        return None
    prompt, completion = count(value.get("prompt_tokens")), count(value.get("completion_tokens"))
    if not writes and value.get("prompt_tokens") is None:
        prompt = count(value.get("total_tokens"))
    if prompt is None:
        return None
    estimated = writes and completion is None
    completion = completion or 0
    details, made = _details(value, "prompt_tokens_details"), _details(value, "completion_tokens_details")
    cached = details.get("cached_tokens", value.get("prompt_cache_hit_tokens"))  # the latter: DeepSeek
    reasoning = count(made.get("reasoning_tokens")) or 0
    if reasoning and value.get("total_tokens") == prompt + completion + reasoning:
        completion += reasoning  # xAI's completion_tokens are without them
    usage = Usage(prompt, output=completion, estimated=estimated)
    if cached:
        usage.cache_read, usage.input = _part(cached, usage.input)
    if written := details.get("cache_write_tokens"):
        usage.cache_write, usage.input = _part(written, usage.input)
    if heard := details.get("audio_tokens"):
        usage.audio_input, usage.input = _part(heard, usage.input)
    if reasoning:
        usage.reasoning, usage.output = _part(reasoning, usage.output)
    if said := made.get("audio_tokens"):
        usage.audio_output, usage.output = _part(said, usage.output)
    return usage


def openai_usage(usage: Usage) -> dict[str, Any]:
    """The figures as the ``usage`` of a chat completion."""
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.total,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write,
            "audio_tokens": usage.audio_input,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": usage.audio_output,
        },
    }


def has_cost(usage: object) -> bool:
    """Whether an upstream's ``usage`` names a cost, which is never passed on: it may be in credits."""
    return isinstance(usage, dict) and "cost" in usage


def set_cost(value: dict[str, Any], cost_nano: int | None) -> None:
    """Add ``cost`` (US dollars, null if unknown) to the ``usage`` of an answer that is to be encoded by
    orjson: the amount is an `orjson.Fragment`, since a float would be written with an exponent."""
    if isinstance(usage := value.get("usage"), dict):
        usage["cost"] = orjson.Fragment(_dollars(cost_nano))


def with_cost(raw: bytes, cost_nano: int | None) -> bytes:
    """The same body or event with ``cost`` (US dollars, null if unknown) in its ``usage``, which it must have
    at the top, or within the ``response`` that an event tells of. No other byte changes, except where
    ``usage`` occurs more than once as a key or value, or has a cost already: it is then encoded anew."""
    at = raw.find(_KEY)
    opened = _OPENED.match(raw, at + len(_KEY))
    # A backslash before it: the end of a string that holds an escaped quote.
    ambiguous = raw[at - 1] == _BACKSLASH or raw.find(_KEY, at + 1) > 0 or raw.find(b'"cost"', at) > 0
    if at < 0 or opened is None or ambiguous:
        return _encoded_anew(raw, cost_nano)
    brace = raw.index(b"{", at) + 1
    comma = b"" if opened[1] else b","
    return b'%b"cost":%b%b%b' % (raw[:brace], _dollars(cost_nano), comma, raw[brace:])


def encode_chunk(value: object) -> bytes:
    """A JSON value as a server-sent event."""
    return b"data: %b\n\n" % orjson.dumps(value)


def _encoded_anew(raw: bytes, cost_nano: int | None) -> bytes:
    if raw.lstrip().startswith(b"{"):
        value = lenient.loads(raw)
        set_cost(value, cost_nano)
        return orjson.dumps(value)
    event = whole_events(raw)[0]
    value = lenient.loads(event.data)
    set_cost(value if "usage" in value else value.get("response", value), cost_nano)
    named = b"event: %b\n" % event.name if event.name else b""
    return named + encode_chunk(value)


def _dollars(nano: int | None) -> bytes:
    """A JSON number: exact, without an exponent."""
    if nano is None:
        return b"null"
    return (b"%d.%09d" % divmod(nano, _NANO)).rstrip(b"0").rstrip(b".")


def _details(value: dict[str, Any], name: str) -> dict[str, Any]:
    details = value.get(name)
    return details if isinstance(details, dict) else {}


def _part(value: object, total: int) -> tuple[int, int]:
    """The part, at most ``total``, and what is left of it."""
    part = min(count(value) or 0, total)
    return part, total - part
