"""Log lines posted to an address, signed."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import hmac
import random
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector
from yarl import URL

from gateway.api import Batch
from gateway.dialects.retry_after import retry_after

TRIES = 5
_TIMEOUT_SECONDS = 10.0
_FIRST_WAIT_SECONDS = 1.0
_NAT64 = IPv6Network("64:ff9b::/96")
# Where clouds hand credentials to whoever asks, though the address is not link-local.
_METADATA = {ip_address(text) for text in ("100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")}


@dataclass
class Webhook:
    """Posts ``{"records": […]}`` in batches; each counts as delivered once it is answered with a 2xx.

    With a secret, ``x-coo-signature`` is ``sha256=`` and the hex HMAC-SHA256 of ``TIMESTAMP.BODY``,
    the timestamp that of ``x-coo-timestamp`` (Unix seconds). ``x-coo-delivery`` stays the same over tries.
    """

    endpoint: str = field(repr=False)
    """http or https. Link-local addresses and cloud metadata services are refused at each connection."""
    secret: str | None = field(default=None, repr=False)
    """Signs each delivery; without one they go unsigned."""
    batch: Batch = field(default_factory=Batch)

    def __post_init__(self) -> None:
        try:
            self._url = URL(self.endpoint)
        except ValueError:
            self._url = URL()
        if self._url.scheme not in ("http", "https") or not self._url.host:
            raise ValueError("endpoint: must be an http or https URL with a host")
        if _is_forbidden_literal(self._url.host):
            raise ValueError("endpoint: must not be a link-local address or a metadata service")
        if self.secret == "":
            raise ValueError("secret: must not be empty (leave it out to send unsigned)")
        self.sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
        self.clock: Callable[[], float] = time.time
        self._session: ClientSession | None = None
        self._gone = False

    async def write(self, lines: Sequence[bytes]) -> None:
        """Raises `OSError` when all tries failed, or at once where trying again is of no use."""
        if not lines:
            return
        if self._gone:
            raise self._error("was answered with 410 and is not used any more")
        body = b'{"records":[' + b",".join(lines) + b"]}"
        delivery = secrets.token_hex(16)
        for attempt in range(1, TRIES + 1):
            problem, wait = await self._try(body, delivery)
            if problem is None:
                return
            if wait is None or attempt == TRIES:
                raise self._error(f"{problem} (tries: {attempt})")
            await self.sleep(max(wait, _FIRST_WAIT_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.0)))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _try(self, body: bytes, delivery: str) -> tuple[str | None, float | None]:
        """What went wrong, None if nothing did; and seconds to wait at least, None to give up."""
        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(socket_factory=_guarded_socket, limit=1),
                timeout=ClientTimeout(total=_TIMEOUT_SECONDS),
            )
        try:
            async with self._session.post(
                self._url, data=body, headers=self._headers(body, delivery), allow_redirects=False
            ) as answer:
                status, wait = answer.status, retry_after(answer.headers)
        except (ClientError, OSError) as error:  # TimeoutError is an OSError
            return f"failed: {getattr(error, 'strerror', None) or type(error).__name__}", 0.0
        if 200 <= status < 300:
            return None, None
        self._gone = status == 410
        passing = status in (408, 429) or status >= 500
        return f"was answered with {status}", (wait or 0.0) if passing else None

    def _headers(self, body: bytes, delivery: str) -> dict[str, str]:
        timestamp = str(int(self.clock()))
        headers = {
            "content-type": "application/json",
            "x-coo-delivery": delivery,
            "x-coo-timestamp": timestamp,
        }
        if self.secret is not None:
            digest = hmac.new(self.secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
            headers["x-coo-signature"] = "sha256=" + digest.hexdigest()
        return headers

    def _error(self, what: str) -> OSError:
        """Named by its host only: the rest of an address may be a secret."""
        return OSError(f"webhook at {self._url.host} {what}")


def _guarded_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket for an address that was resolved (or written out), just before it is connected to."""
    family, kind, protocol, _, target = address
    if forbidden(target[0]):
        raise PermissionError(errno.EACCES, "link-local and metadata addresses are not allowed")
    return socket.socket(family, kind, protocol)


def forbidden(text: str) -> bool:
    """Whether an IP address is link-local or a metadata service, in whatever guise."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        address = _embedded(address) or address
    return address.is_link_local or address in _METADATA


def _is_forbidden_literal(host: str) -> bool:
    try:
        return forbidden(host)
    except ValueError:
        return False


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that is reached by way of an IPv6 one (mapped, 6to4, NAT64)."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
