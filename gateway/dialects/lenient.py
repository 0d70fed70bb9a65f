"""JSON that orjson refuses although its grammar is right: half a surrogate pair (a server cut the text in the
middle of a character), a number beyond all floats."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn

import orjson

Place = tuple[object, ...]


def loads(data: bytes) -> Any:
    """As `orjson.loads`, with U+FFFD in place of half a character. Raises `orjson.JSONDecodeError`."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return read(data)


def read(data: bytes) -> Any:
    """As `loads`, for what orjson has refused."""
    return _all_mended(_parsed(data), lambda text, place: _whole(text))


class Joiner:
    """Reads the events of one stream, and joins the halves of a character that came in two of them."""

    __slots__ = ("_halves",)

    def __init__(self) -> None:
        self._halves: dict[Place, str] = {}  # first halves whose second ones may come

    def loads(self, data: bytes) -> Any:
        """The next event. Raises `orjson.JSONDecodeError`."""
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError:
            return _all_mended(_parsed(data), self._joined)
        return _all_mended(value, self._joined) if self._halves else value

    def _joined(self, text: str, place: Place) -> str:
        text = self._halves.pop(place, "") + text
        if "\ud800" <= text[-1:] <= "\udbff":
            self._halves[place] = text[-1]
            text = text[:-1]
        return _whole(text)


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise orjson.JSONDecodeError(str(error), "", 0) from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _all_mended(value: Any, mend: Callable[[str, Place], str]) -> Any:
    try:
        return _mended(value, (), mend)
    except RecursionError:
        raise orjson.JSONDecodeError("nested too deeply", "", 0) from None


def _mended(value: Any, place: Place, mend: Callable[[str, Place], str]) -> Any:
    """The same with all of its texts mended; ``place``: the names that lead to it."""
    if isinstance(value, str):
        return mend(value, place)
    if isinstance(value, dict):
        return {_whole(name): _mended(part, (*place, name), mend) for name, part in value.items()}
    if isinstance(value, list):
        return [_mended(part, (*place, _index(part, at)), mend) for at, part in enumerate(value)]
    return value


def _index(part: object, at: int) -> object:
    """By what an item of a list is known in the next event."""
    return str(part.get("index", at)) if isinstance(part, dict) else at


def _whole(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
