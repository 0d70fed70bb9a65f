"""The configuration store of an HTTP store: one document with an entity tag."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.api import Conflict, Document
from gateway_stores.http_client import MAX_PAGE, HttpClient


@dataclass(eq=False)
class HttpConfigStore:
    """The document at ``ADDR/config``, with an entity tag for its version."""

    addr: str = field(repr=False)
    api_key: str | None = field(default=None, repr=False)
    timeout: float = 5.0

    def __post_init__(self) -> None:
        self._client = HttpClient(self.addr, self.api_key, self.timeout)

    async def open(self) -> None:
        """Nothing to do before the first call."""

    async def close(self) -> None:
        """Hang up."""
        await self._client.close()

    async def read(self) -> Document:
        """``GET /config``: 404 as long as nothing was ever written."""
        status, data, tag = await self._client.send("GET", ("config",), max_bytes=MAX_PAGE)
        if status == 404:
            return Document("", b"")
        self._expect(status, tag, 200)
        return Document(tag, data)

    async def version(self) -> str:
        """``HEAD /config``."""
        status, _, tag = await self._client.send("HEAD", ("config",))
        if status == 404:
            return ""
        self._expect(status, tag, 200)
        return tag

    async def write(self, data: bytes, expected: str) -> str:
        """``PUT /config`` with ``if-match`` (the first: ``if-none-match: *``). Raises `Conflict` at 412."""
        headers = {"if-match": expected} if expected else {"if-none-match": "*"}
        status, _, tag = await self._client.send("PUT", ("config",), data, headers=headers)
        if status == 412:
            raise Conflict
        self._expect(status, tag, 200, 201, 204)
        return tag

    def _expect(self, status: int, tag: str, *expected: int) -> None:
        """Raises `StoreUnavailable` if the answer has another status, or no tag."""
        if status not in expected:
            raise self._client.unexpected(("config",), status)
        if not tag:
            raise self._client.unavailable(("config",), f"answered with status {status} without an etag")
