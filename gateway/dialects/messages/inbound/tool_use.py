"""A tool call on its way to Anthropic's clients, whose pieces become deltas of its input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.dialects.messages.inbound.answer import raw_arguments
from gateway.dialects.messages.inbound.ids import to_client


class ToolUse:
    """Its arguments go on as they come once they begin like an object. Others are given as `tool_input`
    gives them, at their end: clients take a broken input for the end of everything."""

    __slots__ = ("_is_object", "_pieces", "_told", "block")

    def __init__(self, begun: Mapping[str, Any]) -> None:
        """``begun``: the first piece of a chat's tool call, with its name."""
        named = {"id": to_client(begun.get("id")), "name": begun["function"]["name"]}
        self.block = {"type": "tool_use", **named, "input": {}}
        self._pieces: list[str] = []
        self._told = 0  # of the pieces
        self._is_object: bool | None = None  # None: nothing but blanks so far

    def take(self, text: str) -> None:
        """The next piece of its arguments."""
        self._pieces.append(text)
        if self._is_object is None and (said := text.lstrip()):
            self._is_object = said.startswith("{")

    def news(self) -> str:
        """What can be told by now, and was not yet."""
        if not self._is_object:
            return ""
        text = "".join(self._pieces[self._told :])
        self._told = len(self._pieces)
        return text

    def rest(self) -> str:
        """As `news`, now that no more will come."""
        if self._is_object is False:
            return orjson.dumps(raw_arguments("".join(self._pieces))).decode()
        return self.news()

    @property
    def complete(self) -> bool:
        """Whether its arguments are an object already."""
        if not self._is_object:
            return False
        try:
            orjson.loads("".join(self._pieces))
        except orjson.JSONDecodeError:
            return False
        return True
