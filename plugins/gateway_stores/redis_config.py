"""The configuration store in Redis: one document, replaced only by who knows the version it has."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.api import Conflict, Document
from gateway_stores.redis_address import parse_address
from gateway_stores.redis_link import Call, Link, Script, yes

SCRIPT: Final = Script("redis_config.lua")


@dataclass(eq=False)
class RedisConfigStore:
    """Its settings are those of `gateway_stores.redis.RedisStore`."""

    addr: str = field(repr=False)
    password: str | None = field(default=None, repr=False)
    database: int = 0
    timeout: float = 5.0
    prefix: str = "coo-llm"

    def __post_init__(self) -> None:
        address = parse_address(self.addr, self.password, self.database)
        self._link = Link(address, self.timeout, self.prefix)

    async def open(self) -> None:
        """Nothing to do: the first call connects."""

    async def close(self) -> None:
        """Close the connections."""
        await self._link.close()

    async def read(self) -> Document:
        """The document as it is now."""
        reply = await self._act("read")
        with self._link.reading():
            version, data = reply
            return Document("", b"") if version is None else Document(version.decode(), bytes(data))

    async def version(self) -> str:
        """Its version."""
        version = await self._act("version")
        with self._link.reading():
            return "" if version is None else str(version.decode())

    async def write(self, data: bytes, expected: str) -> str:
        """Replace it. Raises `Conflict` if it is another version by now."""
        version = secrets.token_hex(8)
        reply = await self._act("write", expected, version, data)
        with self._link.reading():
            written = yes(reply)
        if not written:
            raise Conflict
        return version

    async def _act(self, *args: str | bytes) -> Any:
        [reply] = await self._link.run([Call(SCRIPT, f"{{{self.prefix}:config}}", args)])
        return reply
