"""An HTTP store together with the server it talks to, for the conformance suites."""

from __future__ import annotations

from gateway.api import Site
from gateway.api.testing.clock import ManualClock
from gateway_stores.http import HttpStore
from tests.fakes.http_store import KEY, HttpStoreServer
from tests.fakes.ports import free_port


class ServedHttpStore(HttpStore):
    """Starts its server when it is opened, and ends it when it is closed."""

    def __init__(self, clock: ManualClock) -> None:
        port = free_port()
        super().__init__(f"http://127.0.0.1:{port}", KEY)
        self.clock = clock
        self.server = HttpStoreServer(clock, port)

    async def open(self, site: Site) -> None:
        self.server.site = site
        await self.server.__aenter__()
        await super().open(site)

    async def close(self) -> None:
        await super().close()
        await self.server.__aexit__()
