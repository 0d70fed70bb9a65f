"""Prompts and answers as a log line may have them: without credentials, in slices that hold up nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from gateway.logs import HIDDEN, SECRET, SECRET_FIELD, hidden
from gateway.redact import Redactor

SLICE = 8 * 1024
"""Characters searched for credentials between two turns of the event loop: some 300 microseconds."""
_OVERLAP = 256
"""Characters searched twice, for what a slice cuts in its middle."""
_PLAIN_SEARCHES = 64
"""Characters that can be searched for one known secret while one is for what looks like a credential."""

_VALUE = 8
"""The same for looking at one value."""


class Slices:
    """Work that gives the event loop its turn again and again."""

    def __init__(self) -> None:
        self._left = SLICE

    async def spend(self, characters: int) -> None:
        """So much was done."""
        self._left -= characters
        if self._left <= 0:
            self._left = SLICE
            await asyncio.sleep(0)


class Masking:
    """Masks the secrets that ``redactors`` know, and whatever looks like a credential."""

    def __init__(self, redactors: Sequence[Redactor], slices: Slices) -> None:
        self._redactors = redactors
        self._slices = slices

    async def text(self, text: str) -> str:
        """Masked; the text may end in the middle of a secret, with ``…``."""
        return await self._masked(text, self._redactors)

    async def json(self, value: Any, text: str) -> Any:
        """The JSON ``value`` masked; ``text``: the same as it is written, which tells what to look for."""
        found = []
        for redactor in self._redactors:
            if redactor.in_text(text):
                found.append(redactor)
            await self._slices.spend(len(text) // _PLAIN_SEARCHES)
        return await self._value(value, found)

    async def _value(self, value: Any, redactors: Sequence[Redactor]) -> Any:
        await self._slices.spend(_VALUE)
        if isinstance(value, str):
            return await self._masked(value, redactors)
        if isinstance(value, list):
            return [await self._value(item, redactors) for item in value]
        if isinstance(value, dict):
            return {
                await self._masked(name, redactors): (
                    HIDDEN if SECRET_FIELD.search(name) else await self._value(item, redactors)
                )
                for name, item in value.items()
            }
        return value

    async def _masked(self, text: str, redactors: Sequence[Redactor]) -> str:
        for redactor in redactors:
            text = redactor.without(text)
            await self._slices.spend(len(text) // _PLAIN_SEARCHES)
        pieces: list[str] = []
        done = at = 0
        while at < len(text):
            end = at + SLICE
            found = SECRET.search(text, at, end)
            if found is None:
                await self._slices.spend(min(SLICE, len(text) - at))
                at = end if end >= len(text) else end - _OVERLAP
                continue
            found = SECRET.match(text, found.start()) or found  # it may go on beyond the slice
            pieces += (text[done : found.start()], hidden(found))
            await self._slices.spend(found.end() - at)
            done = at = found.end()
        return "".join(pieces) + text[done:] if pieces else text
