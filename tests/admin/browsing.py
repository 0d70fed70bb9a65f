"""A browser without scripts, in tests: it keeps cookies, and follows nothing by itself."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape

import aiohttp

from tests.daemon.running import ADMIN_KEY, Gateway


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    text: str
    cookies: Mapping[str, str] = field(default_factory=dict)
    """What was set, with its attributes."""

    @property
    def location(self) -> str:
        return self.headers["location"]

    @property
    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', self.text)
        assert found is not None, self.text
        return found[1]

    @property
    def words(self) -> str:
        """The text that is seen."""
        return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", self.text)))


@dataclass(slots=True)
class Browser:
    """One visitor."""

    gateway: Gateway
    session: aiohttp.ClientSession

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.send("GET", path, headers=headers)

    async def post(self, path: str, /, form: Mapping[str, str] | None = None, **headers: str) -> Answer:
        """Send a form as it is given."""
        return await self.send("POST", path, form or {}, headers)

    async def log_in(self, password: str = ADMIN_KEY, **fields: str) -> Answer:
        return await self.post("/ui/login", {"id": "admin", "password": password, **fields})

    async def send(
        self,
        method: str,
        path: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        async with self.session.request(
            method, self.gateway.url + path, data=form, headers=sent, allow_redirects=False
        ) as response:
            cookies = {name: morsel.OutputString() for name, morsel in response.cookies.items()}
            return Answer(response.status, response.headers, await response.text(), cookies)


@asynccontextmanager
async def browsing(gateway: Gateway) -> AsyncIterator[Browser]:
    """A browser that nobody has logged in with yet."""
    jar = aiohttp.CookieJar(unsafe=True)  # keeps the cookies of an address, too
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        yield Browser(gateway, session)
