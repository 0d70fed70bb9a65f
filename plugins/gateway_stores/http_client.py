"""Calls to an HTTP store: JSON, bounded in time and size, never redirected; no secret in an error."""

from __future__ import annotations

from math import inf
from typing import Any
from urllib.parse import quote

import orjson
from aiohttp import (
    ClientError,
    ClientPayloadError,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    ServerDisconnectedError,
)
from yarl import URL

from gateway.api import StoreUnavailable

MAX_ANSWER = 1024 * 1024
"""Bytes of an answer that are read at most; pages of records may be `MAX_PAGE` long."""
MAX_PAGE = 16 * 1024 * 1024
UNFIT = "answered with something other than docs/http-store.yaml describes"


class Missing(Exception):
    """The server has nothing there, or does not know the call: 404, 405 or 501."""


class HttpClient:
    """One server and the key to it."""

    def __init__(self, addr: str, api_key: str | None, timeout: float) -> None:
        """``timeout``: seconds a call may take unless it says otherwise; `inf`: its caller gives up.
        Raises `ValueError` if ``addr`` is not an http or https URL to which paths can be appended."""
        try:
            self._base = URL(addr)
        except ValueError:
            self._base = URL()
        if self._base.scheme not in ("http", "https") or not self._base.host:
            raise ValueError("addr: must be an http or https URL with a host")
        if self._base.raw_user is not None or self._base.raw_password is not None:
            raise ValueError("addr: must hold no user and no password: api_key is what is sent")
        if self._base.raw_query_string or self._base.raw_fragment:
            raise ValueError("addr: must have no query (?) and no fragment (#): paths are appended to it")
        self.name = f"the HTTP store at {self._base.host_port_subcomponent}"
        """For the operator: the rest of an address may be a secret."""
        self.timeout = timeout
        self._headers = {} if api_key is None else {"authorization": f"Bearer {api_key}"}
        self._session: ClientSession | None = None

    async def close(self) -> None:
        """Close its connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def call(
        self,
        path: tuple[str, ...],
        body: Any = None,
        *,
        timeout: float | None = None,
        max_bytes: int = MAX_ANSWER,
    ) -> Any:
        """The JSON that a GET, or with ``body`` a POST, is answered with; None if that is nothing.
        Raises `StoreUnavailable`, or `Missing`."""
        method = "GET" if body is None else "POST"
        status, answer, _ = await self.send(method, path, body, timeout=timeout, max_bytes=max_bytes)
        if status in (404, 405, 501):
            raise Missing(path[0])
        if not 200 <= status < 300:
            raise self.unexpected(path, status)
        try:
            return orjson.loads(answer) if answer else None
        except orjson.JSONDecodeError:
            raise self.unavailable(path, "answered with something that is not JSON") from None

    async def send(
        self,
        method: str,
        path: tuple[str, ...],
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        timeout: float | None = None,
        max_bytes: int = MAX_ANSWER,
    ) -> tuple[int, bytes, str]:
        """Status, body and entity tag of the answer, whatever its status. ``body``: bytes go out as they are,
        all else as JSON. Raises `StoreUnavailable`."""
        if self._session is None:
            self._session = ClientSession(headers=self._headers)
        url = self._base.joinpath(*(quote(part, safe="") for part in path), encoded=True)
        sent = headers or {}
        if body is not None:
            sent = {"content-type": "application/json", **sent}
        try:
            async with self._session.request(
                method,
                url,
                data=body if body is None or isinstance(body, bytes) else orjson.dumps(body),
                headers=sent,
                timeout=ClientTimeout(total=None if timeout == inf else timeout or self.timeout),
                allow_redirects=False,
            ) as answer:
                content = bytearray()
                while len(content) <= max_bytes and (more := await answer.content.readany()):
                    content += more
                if len(content) > max_bytes:
                    raise self.unavailable(path, f"answered with more than {max_bytes} bytes")
                return answer.status, bytes(content), answer.headers.get("etag", "")
        except (TimeoutError, ClientError, OSError) as error:
            if isinstance(error, StoreUnavailable):
                raise
            raise self.unavailable(path, _in_words(error)) from None

    def unexpected(self, path: tuple[str, ...], status: int) -> StoreUnavailable:
        """What the operator is told of an answer with a status that means trouble."""
        advice = ": check api_key" if status in (401, 403) else ""
        return self.unavailable(path, f"answered with status {status}{advice}")

    def unavailable(self, path: tuple[str, ...], what: str) -> StoreUnavailable:
        """What the operator is told of a call that failed."""
        return StoreUnavailable(f"{self.name} ({path[0]}) {what}")


def _in_words(error: Exception) -> str:
    """What went wrong on the way. No text of an aiohttp error: it may hold the whole address."""
    match error:
        case TimeoutError():
            return "gave no answer in time"
        case ClientPayloadError() | ServerDisconnectedError():
            return "broke off its answer"
        case ClientResponseError():
            return "answered with something that is not HTTP"
        case OSError(strerror=str(reason)):
            return f"cannot be reached: {reason}"
        case _:
            return f"cannot be asked: {type(error).__name__}"
