"""Upstreams that cannot be reached, and connections that break before an answer."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from gateway.upstream.client import Client
from tests.daemon.faulty import QUICK, check_error, outcomes, reported, tries, upstream
from tests.daemon.running import configured, running
from tests.fakes.nasty import NastyServer, Step
from tests.fakes.ports import free_port
from tests.fakes.steps import answer, close, idle_close, reset, stream


def closed() -> str:
    """The address of a port where nobody listens."""
    return f"http://127.0.0.1:{free_port()}"


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_refused_connection_goes_to_the_next_provider(
    nasty: NastyServer, tmp_path: Path, streamed: bool
) -> None:
    nasty.default = stream() if streamed else answer()
    down, up = upstream(closed(), "down"), upstream(nasty.url)
    config = configured(down, up, policy={"algorithm": "round_robin"})
    async with running(config, tmp_path) as gateway:
        ask = gateway.stream if streamed else gateway.ask
        status, _, headers = await ask()
        assert (status, headers["x-coo-provider"], headers["x-coo-attempts"]) == (200, "up", "2")
        record = await reported(gateway)
        assert tries(record) == [("down", 0, "failed"), ("up", 200, "ok")]
        assert (record.status, record.error, record.partial) == (200, None, False)


async def test_refused_everywhere_is_one_502_and_costs_nothing(tmp_path: Path) -> None:
    config = configured(upstream(closed(), "one"), upstream(closed(), "two"), policy=QUICK)
    async with running(config, tmp_path) as gateway:
        status, body, headers = await gateway.ask()
        assert status == 502
        check_error(body, "upstream_error")
        assert headers["x-should-retry"] == "false"
        assert headers["x-coo-error-source"] == "provider"
        record = await reported(gateway)
        assert (record.status, record.error) == (502, "upstream_error")
        assert outcomes(record) == ["failed"] * 3
        assert (record.input_tokens, record.output_tokens, record.cost_nano_usd) == (0, 0, None)


async def test_a_name_without_address_goes_to_the_next_provider(nasty: NastyServer, tmp_path: Path) -> None:
    async def nowhere(host: str) -> Sequence[str]:
        raise OSError("no such name")

    lost = upstream("http://nowhere.invalid", "lost")
    config = configured(lost, upstream(nasty.url), policy={"algorithm": "round_robin"})
    async with running(config, tmp_path) as gateway:
        gateway.live.upstream = Client(look_up=nowhere)
        assert (await gateway.ask())[0] == 200
        assert tries(await reported(gateway)) == [("lost", 0, "failed"), ("up", 200, "ok")]


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=["expired", "wrong host", "self-signed"])
async def untrusted(request: pytest.FixtureRequest, authority: trustme.CA) -> AsyncIterator[NastyServer]:
    """A server with TLS whose certificate must not be believed."""
    names = {"wrong host": "elsewhere.example"}
    expiry = datetime.now(UTC) - timedelta(days=1) if request.param == "expired" else None
    issuer = trustme.CA() if request.param == "self-signed" else authority
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issuer.issue_cert(names.get(request.param, "127.0.0.1"), not_after=expiry).configure_cert(tls)
    async with NastyServer(answer(), tls=tls) as server:
        yield server


async def test_no_key_goes_to_a_server_whose_certificate_is_wrong(
    untrusted: NastyServer, authority: trustme.CA, tmp_path: Path
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with running(configured(upstream(untrusted.url), policy=QUICK), tmp_path) as gateway:
        gateway.live.upstream = Client(ca_file=str(tmp_path / "ca.pem"))
        status, body, _ = await gateway.ask()
        assert status == 502
        check_error(body, "upstream_error")
        assert untrusted.requests == []
        assert set(outcomes(await reported(gateway))) == {"failed"}
        await gateway.live.upstream.close()


@pytest.mark.parametrize("end", [reset, close])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_reset_before_the_answer_is_tried_again(
    nasty: NastyServer, tmp_path: Path, end: Step, streamed: bool
) -> None:
    nasty.default = stream() if streamed else answer()
    nasty.script((end,))
    async with running(configured(upstream(nasty.url), policy=QUICK), tmp_path) as gateway:
        status, _, headers = await (gateway.stream if streamed else gateway.ask)()
        assert (status, headers["x-coo-attempts"]) == (200, "2")
        assert outcomes(await reported(gateway)) == ["failed", "ok"]


async def test_a_pooled_connection_that_died_is_nobodys_fault(nasty: NastyServer, tmp_path: Path) -> None:
    nasty.script(answer(), (reset,), idle_close())
    async with running(configured(upstream(nasty.url)), tmp_path) as gateway:
        await gateway.ask()
        status, _, headers = await gateway.ask()
        assert (status, headers["x-coo-attempts"]) == (200, "1")
        assert len(nasty.requests) == 3
        assert (await gateway.ask())[0] == 200
        for record in await gateway.records(3):
            assert outcomes(record) == ["ok"]
