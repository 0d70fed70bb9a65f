"""Names of what a translated answer holds, and the reasoning that has to come back to who made it.

Nothing is stored for a translated answer. What a provider wants back with the history, the signed
thinking blocks of Anthropic's, therefore travels in ``encrypted_content`` of the reasoning item: for the
client that is opaque in any case.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from secrets import token_hex
from typing import Any, TypeGuard

import orjson

from gateway.dialects.gemini_signature import bare_id, is_packed

_OURS = "coo"
_SEALED = "coo1."
_SIGNED = frozenset({"thinking", "redacted_thinking"})
"""Kinds of block that come whole, in streams as well, and that their provider wants back."""


class Names:
    """The ids of one answer: the same for the same answer of the provider."""

    __slots__ = ("_calls", "_mark", "_messages", "_thoughts")

    def __init__(self, chat_id: object) -> None:
        """``chat_id``: of the completion that is translated, if it has one."""
        named = chat_id if isinstance(chat_id, str) and chat_id else token_hex(16)
        self._mark = blake2b(named.encode(), digest_size=16).hexdigest()
        self._messages = self._calls = self._thoughts = 0

    def response(self) -> str:
        return f"resp_{_OURS}{self._mark}"

    def message(self) -> str:
        self._messages += 1
        return f"msg_{_OURS}{self._mark}{self._messages - 1:x}"

    def call(self) -> str:
        self._calls += 1
        return f"fc_{_OURS}{self._mark}{self._calls - 1:x}"

    def reasoning(self) -> str:
        self._thoughts += 1
        return f"rs_{_OURS}{self._mark}{self._thoughts - 1:x}"


def is_ours(item_id: object) -> bool:
    """Whether an item has an id of `Names`, which no provider knows."""
    return isinstance(item_id, str) and item_id.partition("_")[2].startswith(_OURS)


def signed(details: object) -> list[dict[str, Any]]:
    """Those of a message's ``reasoning_details`` that their provider wants back as they are."""
    if not isinstance(details, list):
        return []
    return [
        {name: value for name, value in block.items() if name != "index"}
        for block in details
        if isinstance(block, dict) and block.get("type") in _SIGNED
    ]


def seal(blocks: Sequence[Mapping[str, Any]]) -> str:
    """``blocks``, even if there are none, as an ``encrypted_content``."""
    return _SEALED + urlsafe_b64encode(orjson.dumps(blocks)).rstrip(b"=").decode()


def unseal(content: object) -> list[dict[str, Any]]:
    """The blocks in an ``encrypted_content``; none if it is another's."""
    if not _is_sealed(content):
        return []
    text = content.removeprefix(_SEALED)
    try:
        return signed(orjson.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4))))
    except ValueError:
        return []


def is_our_reasoning(item: Mapping[str, Any]) -> bool:
    """Whether an item is the reasoning of a translated answer. Clients may leave its id out."""
    return item.get("type") == "reasoning" and (
        is_ours(item.get("id")) or _is_sealed(item.get("encrypted_content"))
    )


def without_ours(items: list[Any]) -> list[Any]:
    """The items of an ``input`` as a provider with a Responses API takes them: without the reasoning and the
    ids of translated answers, and without the signatures in the ids of Gemini's calls. The same list if
    there is nothing to take out."""
    if not any(_translated(item) for item in items):
        return items
    return [
        _plain(item) if _translated(item) else item
        for item in items
        if not (isinstance(item, dict) and is_our_reasoning(item))
    ]


def _is_sealed(content: object) -> TypeGuard[str]:
    return isinstance(content, str) and content.startswith(_SEALED)


def _translated(item: object) -> bool:
    return isinstance(item, dict) and (
        is_ours(item.get("id")) or is_packed(item.get("call_id")) or is_our_reasoning(item)
    )


def _plain(item: dict[str, Any]) -> dict[str, Any]:
    plain = {name: value for name, value in item.items() if name != "id" or not is_ours(value)}
    if is_packed(plain.get("call_id")):
        plain["call_id"] = bare_id(plain["call_id"])
    return plain
