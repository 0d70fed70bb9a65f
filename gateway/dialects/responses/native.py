"""A request on its way to a provider that has the Responses API: as it came, but for what only we know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.api import Call, Unsupported
from gateway.dialects.responses.identity import without_ours
from gateway.dialects.responses.request import STATEFUL

_SHARED = "it names what the provider stores, which all clients share, and the operator has not allowed that"


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
        if item.get("type") == "item_reference":
            yield "input"
        for part in _parts(item.get("content")) + _parts(item.get("output")):
            if part.get("file_id") is not None:
                yield "input"
    for tool in body.get("tools") or ():
        if tool.get("type") == "file_search" or _names_container(tool.get("container")):
            yield "tools"


def _parts(content: object) -> list[dict[str, Any]]:
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _names_container(container: object) -> bool:
    """Of a code interpreter: one that is there already, or a new one with stored files in it."""
    return isinstance(container, str) or (isinstance(container, dict) and bool(container.get("file_ids")))
