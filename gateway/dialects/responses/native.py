"""A request on its way to a provider that has the Responses API: as it came, but for what only we know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.api import Call, Unsupported
from gateway.dialects.responses.identity import without_ours
from gateway.dialects.responses.request import STATEFUL

_SHARED = "it names what the provider stores, which all clients share, and the operator has not allowed that"
_CLIENTS_OWN = frozenset({"function", "custom", "namespace"})
"""Tools that the client runs: what they are called with is its own business."""
_IDS = frozenset({"file_id", "file_ids", "vector_store_ids", "container_id"})


def native_body(call: Call, *, stateful: bool) -> dict[str, Any]:
    """A copy of the body with the upstream's model and the operator's ceiling, without what translated
    answers left in its history. Raises `Unsupported` if it names what the account stores, unless
    ``stateful``: it may be another client's."""
    if not stateful and (param := next(_references(call.body), None)) is not None:
        raise Unsupported(param, _SHARED)
    body = {**call.body, "model": call.model}
    if isinstance(given := body.get("input"), list):
        body["input"] = without_ours(given)
    if (highest := call.max_tokens) is not None:
        asked = body.get("max_output_tokens")
        body["max_output_tokens"] = highest if asked is None else min(asked, highest)
    return body


def _references(body: Mapping[str, Any]) -> Iterator[str]:
    """The parameters that name a stored response, conversation, prompt, item, file or container."""
    yield from (name for name in STATEFUL if body.get(name) is not None)
    given = body.get("input")
    for item in given if isinstance(given, list) else ():
        if item.get("type") == "item_reference" or any(map(_uses_stored, _parts(item.get("tools")))):
            yield "input"
        for part in _parts(item.get("content")) + _parts(item.get("output")):
            if part.get("file_id") is not None:
                yield "input"
    if any(map(_uses_stored, _parts(body.get("tools")))):
        yield "tools"


def _uses_stored(tool: dict[str, Any]) -> bool:
    """Whether a hosted tool works on what is stored."""
    if tool.get("type") in _CLIENTS_OWN:
        return False
    return isinstance(tool.get("container"), str) or _names_stored(tool)


def _parts(content: object) -> list[dict[str, Any]]:
    parts = content if isinstance(content, list) else [content]
    return [part for part in parts if isinstance(part, dict)]


def _names_stored(value: object) -> bool:
    """Whether there is an id of something stored, at any depth."""
    if isinstance(value, dict):
        return any((name in _IDS and held) or _names_stored(held) for name, held in value.items())
    return isinstance(value, list) and any(_names_stored(held) for held in value)
