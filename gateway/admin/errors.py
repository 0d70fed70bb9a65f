"""The admin API's errors: raised anywhere in a call, answered as ``{"error", "details"}``."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson
from aiohttp import web


class AdminError(Exception):
    """An error on its way to the operator. Its message says what is wrong and what to do, without secrets."""

    def __init__(
        self, status: int, message: str, *, details: Any = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.details = details
        self.headers = headers

    def response(self) -> web.Response:
        """The answer in its place."""
        body = {"error": self.message, "details": self.details}
        return answer(body, self.status, self.headers)


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer that nothing on the way may keep."""
    return web.Response(
        body=encode(body),
        status=status,
        content_type="application/json",
        headers={"cache-control": "no-store", **(headers or {})},
    )


def encode(body: Any) -> bytes:
    """JSON, in which decimal numbers keep all their digits."""
    return orjson.dumps(body, default=_number)


def _number(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value:f}")
    raise TypeError(f"{type(value).__name__} has no place in JSON")
