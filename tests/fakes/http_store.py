"""`HttpStoreServer`: what an operator's HTTP store has to do, in memory."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Self

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.api import Filter, Record, Site, TooOld
from gateway_stores.memory import MemoryStore
from gateway_stores.windows.authority import WindowAuthority
from gateway_stores.windows.quota import answer_to_json, ask_from_json

KEY = "an-http-store-key"
MAX_BODY = 16 * 1024 * 1024
Trick = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


class HttpStoreServer:
    """``async with HttpStoreServer() as server:`` serves at ``server.addr``; asks for `KEY`."""

    def __init__(self, clock: Callable[[], float], port: int = 0) -> None:
        self.clock = clock
        self.addr = ""
        self.site = Site()
        """What bounds the cache: the server's own affair."""
        self._port = port
        self.trick: Trick | None = None
        """Answers in place of the server, or lets it answer (None)."""
        self.asked: list[tuple[str, str]] = []
        """Method and path of every call."""
        self.usage: defaultdict[str, int] = defaultdict(int)
        self._windows = WindowAuthority()
        self._records = MemoryStore()
        self._records.clock = clock
        self._facts: list[tuple[str, str, float, str]] = []
        self._document: bytes | None = None

    async def __aenter__(self) -> Self:
        """Begin to serve; what was there before is still there."""
        await self._records.open(self.site)
        app = web.Application(middlewares=[self._guard], client_max_size=MAX_BODY)
        app.add_routes(self._routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self.addr = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @classmethod
    def routes(cls) -> list[tuple[str, str]]:
        """Method and path of everything it serves."""
        return [(route.method, route.path) for route in cls(float)._routes()]

    def _routes(self) -> list[web.RouteDef]:
        return [
            web.get("/usage/{provider}/{key}/{metric}", self._get_usage),
            web.post("/usage/{provider}/{key}/{metric}", self._set_usage),
            web.post("/usage/{provider}/{key}/{metric}/inc", self._inc_usage),
            web.get("/cache/{key}", self._get_cache),
            web.post("/cache/{key}", self._put_cache),
            web.post("/windows/exchange", self._exchange),
            web.post("/facts", self._share),
            web.post("/records", self._append),
            web.post("/records/query", self._query),
            web.post("/records/totals", self._totals),
            web.post("/records/series", self._series),
            web.post("/records/prune", self._prune),
            web.get("/records/{id}", self._record),
            web.get("/config", self._get_config),
            web.put("/config", self._put_config),
        ]

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.asked.append((request.method, request.path))
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return web.json_response({"error": "unauthorized"}, status=401)
        tricked = await self.trick(request) if self.trick is not None else None
        return tricked if tricked is not None else await handler(request)

    async def _get_usage(self, request: web.Request) -> web.Response:
        return web.json_response({"value": self.usage[request.path]})

    async def _set_usage(self, request: web.Request) -> web.Response:
        self.usage[request.path] = (await request.json())["value"]
        return web.json_response({"value": self.usage[request.path]})

    async def _inc_usage(self, request: web.Request) -> web.Response:
        path = request.path.removesuffix("/inc")
        self.usage[path] += (await request.json())["delta"]
        return web.json_response({"value": self.usage[path]})

    async def _get_cache(self, request: web.Request) -> web.Response:
        value = await self._records.cache_get(request.match_info["key"])
        if value is None:
            raise web.HTTPNotFound
        return web.json_response({"value": value.decode()})

    async def _put_cache(self, request: web.Request) -> web.Response:
        body = await request.json()
        key = request.match_info["key"]
        await self._records.cache_put(key, body["value"].encode(), body["ttl_seconds"])
        return web.Response(status=204)

    async def _exchange(self, request: web.Request) -> web.Response:
        asks = [ask_from_json(values) for values in (await request.json())["asks"]]
        answers = self._windows.exchange(asks, self.clock())
        return web.json_response({"answers": [answer_to_json(answer) for answer in answers]})

    async def _share(self, request: web.Request) -> web.Response:
        body = await request.json()
        now = self.clock()
        holder = body["holder"]
        self._facts += [(one["name"], one["value"], now + one["seconds"], holder) for one in body["facts"]]
        new = [fact for fact in self._facts[body["since"] :] if fact[3] != holder and fact[2] > now]
        facts = [{"name": name, "value": value, "seconds": until - now} for name, value, until, _ in new]
        return web.json_response({"next": len(self._facts), "facts": facts})

    async def _append(self, request: web.Request) -> web.Response:
        records = [Record.from_json(values) for values in (await request.json())["records"]]
        added = [record for record in records if not await self._records.request(record.id)]
        too_old: list[str] = []
        try:
            await self._records.append(added)
        except TooOld as late:
            too_old = [record.id for record in late.records]
        new = [record.id for record in added if record.id not in too_old]
        return web.json_response({"added": new, "too_old": too_old})

    async def _query(self, request: web.Request) -> web.Response:
        body = await request.json()
        found = await self._records.requests(Filter(**body["filter"]), body["limit"], body["before"])
        return web.json_response({"records": [record.to_json() for record in found]})

    async def _totals(self, request: web.Request) -> web.Response:
        body = await request.json()
        found = await self._records.totals(Filter(**body["filter"]), body["group_by"])
        return web.json_response({"totals": [asdict(total) for total in found]})

    async def _series(self, request: web.Request) -> web.Response:
        body = await request.json()
        found = await self._records.series(Filter(**body["filter"]), body["step"], body["group_by"])
        return web.json_response({"points": [[begins, asdict(total)] for begins, total in found]})

    async def _prune(self, request: web.Request) -> web.Response:
        body = await request.json()
        return web.json_response({"more": await self._records.prune(body["requests"], body["rollups"])})

    async def _record(self, request: web.Request) -> web.Response:
        record = await self._records.request(request.match_info["id"])
        if record is None:
            raise web.HTTPNotFound
        return web.json_response(record.to_json())

    async def _get_config(self, request: web.Request) -> web.Response:
        if self._document is None:
            raise web.HTTPNotFound
        return web.Response(
            body=self._document, headers={"etag": self._tag(), "content-type": "application/json"}
        )

    async def _put_config(self, request: web.Request) -> web.Response:
        expected = request.headers.get("if-match")
        if (expected or None) != (self._tag() or None):
            raise web.HTTPPreconditionFailed
        self._document = await request.read()
        return web.Response(status=204, headers={"etag": self._tag()})

    def _tag(self) -> str:
        return "" if self._document is None else f'"{hashlib.sha256(self._document).hexdigest()[:16]}"'
