"""The webhook: signatures, tries, and where it must never go."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import orjson
import pytest
from aiohttp.test_utils import BaseTestServer

from gateway_sinks.webhook import TRIES, Webhook, forbidden
from tests.sinks.receiver import Receiver


@dataclass
class Bench:
    """A webhook whose waits are written down instead of waited for."""

    receiver: Receiver
    server: BaseTestServer
    waits: list[float] = field(default_factory=list)

    def hook(self, secret: str | None = "s3cret") -> Webhook:
        hook = Webhook(str(self.server.make_url("/hook")), secret)
        hook.sleep = self._sleep
        hook.clock = lambda: 1_700_000_000.9
        return hook

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    receiver = Receiver()
    async with receiver.server() as server:
        yield Bench(receiver, server)


async def test_a_delivery_is_signed_over_timestamp_and_body(bench: Bench) -> None:
    hook = bench.hook()
    await hook.write([b'{"a":1}', b'{"b":2}'])
    await hook.close()
    [body], [headers] = bench.receiver.bodies, bench.receiver.headers
    assert orjson.loads(body) == {"records": [{"a": 1}, {"b": 2}]}
    assert headers["content-type"] == "application/json"
    assert headers["x-coo-timestamp"] == "1700000000"
    expected = hmac.new(b"s3cret", b"1700000000." + body, hashlib.sha256).hexdigest()
    assert headers["x-coo-signature"] == f"sha256={expected}"
    assert len(headers["x-coo-delivery"]) == 32


async def test_without_a_secret_there_is_no_signature(bench: Bench) -> None:
    hook = bench.hook(secret=None)
    await hook.write([b"{}"])
    await hook.close()
    assert "x-coo-signature" not in bench.receiver.headers[0]


async def test_it_tries_again_with_growing_waits(bench: Bench) -> None:
    bench.receiver.plan.extend([(500, {}), (503, {}), (408, {}), (502, {})])
    hook = bench.hook()
    await hook.write([b"{}"])
    await hook.close()
    assert len(bench.receiver.accepted) == 1
    for attempt, wait in enumerate(bench.waits):
        assert 0.5 * 2**attempt <= wait <= 2**attempt
    assert len({headers["x-coo-delivery"] for headers in bench.receiver.headers}) == 1


async def test_it_gives_up_after_its_tries(bench: Bench) -> None:
    bench.receiver.status = 500
    hook = bench.hook()
    with pytest.raises(OSError, match=r"^webhook at 127\.0\.0\.1 was answered with 500 \(tries: 5\)$"):
        await hook.write([b"{}"])
    await hook.close()
    assert len(bench.receiver.bodies) == TRIES
    assert len(bench.waits) == TRIES - 1


async def test_retry_after_is_respected(bench: Bench) -> None:
    bench.receiver.plan.append((429, {"retry-after": "17"}))
    hook = bench.hook()
    await hook.write([b"{}"])
    await hook.close()
    assert bench.waits == [17.0]


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 404, 413])
async def test_what_trying_again_cannot_mend_fails_at_once(bench: Bench, status: int) -> None:
    bench.receiver.plan.append((status, {"location": str(bench.server.make_url("/hook?elsewhere"))}))
    hook = bench.hook()
    with pytest.raises(OSError, match=f"{status}"):
        await hook.write([b"{}"])
    await hook.close()
    assert len(bench.receiver.bodies) == 1, "a redirect was followed, or it was tried again"


async def test_gone_is_the_end(bench: Bench) -> None:
    bench.receiver.plan.append((410, {}))
    hook = bench.hook()
    for _ in range(2):
        with pytest.raises(OSError, match="410"):
            await hook.write([b"{}"])
    await hook.close()
    assert len(bench.receiver.bodies) == 1


async def test_a_refused_connection_is_tried_again(bench: Bench) -> None:
    hook = bench.hook()
    await bench.server.close()
    with pytest.raises(OSError, match=r"tries: 5"):
        await hook.write([b"{}"])
    await hook.close()


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%2", "febf::1", "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "fd00:ec2::254", "100.100.100.200", "192.0.0.192",
    ],
)  # fmt: skip
def test_link_local_and_metadata_addresses_are_forbidden(address: str) -> None:
    assert forbidden(address)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "93.184.216.34", "::1", "fd00::1", "2001:db8::1"]
)
def test_others_are_allowed(address: str) -> None:
    assert not forbidden(address)


async def test_a_name_that_resolves_to_a_forbidden_address_is_not_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    async def getaddrinfo(self: object, host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", port))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    hook = Webhook("http://metadata.example/latest", "s3cret")

    async def sleep(seconds: float) -> None:
        """No waiting."""

    hook.sleep = sleep
    with pytest.raises(OSError, match="link-local and metadata addresses are not allowed"):
        await hook.write([b"{}"])
    await hook.close()
    assert asked[0] == "metadata.example"


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "ftp://host/x",
        "hook.example/x",
        "http://",
        "http://[::1",
        "http://169.254.169.254/",
        "http://[fe80::1]/x",
    ],
)
def test_a_bad_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match=r"^endpoint: must"):
        Webhook(endpoint)


def test_an_empty_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="secret: must not be empty"):
        Webhook("https://hook.example/", "")


def test_secrets_stay_out_of_its_repr() -> None:
    shown = repr(Webhook("https://hook.example/T0/p4th", "s3cret"))
    assert "s3cret" not in shown
    assert "p4th" not in shown
