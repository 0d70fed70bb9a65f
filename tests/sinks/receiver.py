"""A webhook's far end: a real HTTP server that remembers deliveries and answers as it is told."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer


@dataclass
class Receiver:
    """Answers with the planned statuses, then with `status`."""

    status: int = 200
    plan: deque[tuple[int, dict[str, str]]] = field(default_factory=deque)
    bodies: list[bytes] = field(default_factory=list)
    """Every body, accepted or not."""
    headers: list[dict[str, str]] = field(default_factory=list)
    accepted: list[bytes] = field(default_factory=list)

    def server(self) -> TestServer:
        app = web.Application()
        app.router.add_post("/hook", self._take)
        return TestServer(app)

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.bodies.append(body)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        status, headers = self.plan.popleft() if self.plan else (self.status, {})
        if 200 <= status < 300:
            self.accepted.append(body)
        return web.Response(status=status, headers=headers)
