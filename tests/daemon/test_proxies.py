"""Behind nginx and HAProxy as ``etc/`` configures them: streams, addresses, bodies, keep-alive, health."""

from __future__ import annotations

import asyncio
import io
import json
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import trustme

from gateway.config.schema_providers import Timeout
from tests.daemon.proxies import HAPROXY, NGINX, Proxy, proxied
from tests.daemon.raw import message
from tests.daemon.running import ADMIN, ADMIN_KEY, HELLO, KEY, configured, events_of
from tests.daemon.working import eventually
from tests.fakes.chat import chat_stream_events
from tests.fakes.daemon import ROOT, Daemon
from tests.fakes.nasty import NastyServer
from tests.fakes.steps import LAST_CHUNK, answer, chunks, open_stream, send, stall

pytestmark = pytest.mark.asyncio(loop_scope="module")
MEGABYTE = 1024 * 1024
CLIENT = {"authorization": f"Bearer {KEY}"}


@dataclass(slots=True)
class Stand:
    """A client's way through a proxy to a gateway and its upstream."""

    daemon: Daemon
    upstream: NastyServer
    port: int
    context: ssl.SSLContext
    session: aiohttp.ClientSession
    folder: Path

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def chat(self, **body: Any) -> Any:
        """A chat request: ``async with stand.chat() as response``."""
        body = {"model": "m", "messages": HELLO, **body}
        return self.session.post(f"{self.url}/v1/chat/completions", json=body, headers=CLIENT)

    async def asked(self, **body: Any) -> int:
        """The status of a chat."""
        async with self.chat(**body) as response:
            await response.read()
            return int(response.status)


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=[NGINX, HAPROXY], ids=["nginx", "haproxy"]
)
async def stand(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stand]:
    proxy: Proxy = request.param
    folder = tmp_path_factory.mktemp("stand")
    if proxy.program is None:
        pytest.skip(f"{proxy.name} is not installed")
    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with NastyServer(answer()) as upstream:
        config = configured(
            {"id": "up", "type": "custom", "base_url": upstream.url, "model": "m"},
            server={"admin_api_key": ADMIN_KEY, "trusted_proxies": ["127.0.0.1/32"]},
        )
        async with (
            Daemon(config, folder) as daemon,
            proxied(proxy, folder / "proxy", daemon.port, authority) as port,
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context, local_addr=("127.0.0.2", 0))
            ) as session,
        ):
            made = Stand(daemon, upstream, port, context, session, folder)
            await until_served(made)
            yield made


async def until_served(stand: Stand) -> None:
    """Wait until the proxy has found the gateway healthy."""
    async with asyncio.timeout(20):
        while True:
            async with stand.session.get(f"{stand.url}/readyz") as response:
                if response.status == 200:
                    return
            await asyncio.sleep(0.05)


async def test_each_event_of_a_stream_as_it_comes(stand: Stand) -> None:
    role, text, *rest = chat_stream_events()
    seen = asyncio.Event()
    stand.upstream.script((open_stream(), chunks(role, text), stall(seen), chunks(*rest), send(LAST_CHUNK)))
    async with stand.chat(stream=True) as response:
        assert response.status == 200
        begun = await response.content.readuntil(b"\n\n")
        seen.set()  # the upstream goes on only now
        events = events_of(begun + await response.read())
    assert events[-1] == "[DONE]"


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_client_that_leaves_is_noticed(stand: Stand, streamed: bool) -> None:
    begun = (open_stream(), chunks(chat_stream_events()[0])) if streamed else ()
    stand.upstream.script((*begun, stall()))
    body = json.dumps({"model": "m", "messages": HELLO, "stream": streamed}).encode()
    asked = message("POST /v1/chat/completions", list(CLIENT.items()), body)
    before = len(stand.upstream.requests)
    _, writer = await asyncio.open_connection("127.0.0.1", stand.port, ssl=stand.context)
    writer.write(asked)
    *_, request = await stand.upstream.arrived(before + 1)
    writer.transport.abort()
    async with asyncio.timeout(10):
        await request.gone.wait()


async def test_addresses_are_those_of_clients(stand: Stand) -> None:
    """Not the proxy's, and not what a client says of itself."""
    forged = {"x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "gopher", "x-forwarded-host": "evil"}
    async with stand.session.get(f"{stand.url}/admin/v1/health", headers={**ADMIN, **forged}) as response:
        assert response.status == 200
    log = stand.folder / "logs" / "audit.log"
    await eventually(log.exists)
    assert json.loads(log.read_text().splitlines()[-1])["address"] == "127.0.0.2"


async def test_the_dashboard_knows_that_it_is_reached_by_tls(stand: Stand) -> None:
    login = {"id": "admin", "password": ADMIN_KEY}
    for url, secure in ((stand.url, True), (stand.daemon.url, False)):
        async with stand.session.post(f"{url}/admin/login", json=login) as response:
            assert response.status == 200
            assert ("Secure" in response.headers["set-cookie"]) is secure
    async with stand.session.get(f"{stand.url}/ui/") as response:
        assert (response.status, response.content_type) == (200, "text/html")


async def test_who_comes_through_a_proxy_is_not_from_this_machine(stand: Stand) -> None:
    async with stand.session.get(f"{stand.url}/metrics") as response:
        assert response.status == 403


async def test_bodies_are_the_gateways_to_limit(stand: Stand) -> None:
    async def sized(megabytes: int) -> tuple[int, Any]:
        messages = [{"role": "user", "content": "x" * (megabytes * MEGABYTE)}]
        body = io.BytesIO(json.dumps({"model": "m", "messages": messages}).encode())
        url = f"{stand.url}/v1/chat/completions"
        async with stand.session.post(url, data=body, headers=CLIENT) as response:
            return response.status, await response.json()

    assert (await sized(20))[0] == 200
    status, refusal = await sized(40)
    assert (status, refusal["error"]["code"]) == (413, "request_too_large")


async def test_connections_are_kept(stand: Stand) -> None:
    """And those that a restart has cut do no harm."""
    for _ in range(10):
        assert await stand.asked() == 200
    await stand.daemon.stop()
    async with stand.session.get(f"{stand.url}/readyz") as response:
        assert response.status in (502, 503)
    await stand.daemon.start()
    await until_served(stand)
    for _ in range(10):
        assert await stand.asked() == 200


@pytest.mark.parametrize("file", ["nginx.conf", "haproxy.cfg"])
async def test_they_wait_longer_than_the_gateway(file: str) -> None:
    text = (ROOT / "etc" / file).read_text()
    waits = re.findall(
        r"^\s*(?:proxy_read_timeout|timeout client|timeout server)\s+(\d+)s", text, re.MULTILINE
    )
    assert waits
    assert min(map(int, waits)) > Timeout().total
