"""Recent requests: filters, pages, one with its attempts, and the live stream."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gateway.admin import requests, stream
from gateway.admin.calls import requests as calls
from gateway.api import Record
from tests.admin.calling import ECHO, administered, call
from tests.daemon.running import ADMIN, Gateway, running

POLL = 0.02


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    failing = {"id": "bad", "type": "echo", "model": "broken", "failure_rate": 1.0}
    async with running(administered(ECHO, failing), tmp_path) as gateway:
        yield gateway


async def ask(gateway: Gateway, *models: str) -> None:
    """One request for each model, and their records."""
    for model in models:
        await gateway.ask(model=model)
    await gateway.records(len(models))


async def test_filters(gateway: Gateway) -> None:
    await ask(gateway, "m", "broken", "nope", "m")
    for query, aliases in (
        ({}, ["m", "nope", "broken", "m"]),
        ({"status": "200"}, ["m", "m"]),
        ({"status": "4xx"}, ["nope"]),
        ({"status": "5"}, ["broken"]),
        ({"error": "model_not_found"}, ["nope"]),
        ({"provider": "bad"}, ["broken"]),
        ({"client": "nobody"}, []),
        ({"model": "m"}, ["m", "m"]),
        ({"dearer_than_usd": "0.000001"}, ["m", "m"]),
        ({"dearer_than_usd": "1"}, []),
        ({"slower_than_ms": "100000"}, []),
        ({"start": "2100-01-01"}, []),
    ):
        status, body = await call(gateway, "GET /requests", query=query)
        assert status == 200
        assert [one["alias"] for one in body["requests"]] == aliases, query


async def test_pages(gateway: Gateway) -> None:
    await ask(gateway, *["m"] * 5)
    _, whole = await call(gateway, "GET /requests")
    ids, before = [], None
    while True:
        _, page = await call(gateway, "GET /requests", limit=2, query={"before": before} if before else {})
        ids += [one["id"] for one in page["requests"]]
        before = page["next"]
        if before is None:
            break
    assert ids == [one["id"] for one in whole["requests"]]
    assert len(ids) == 5


async def test_one_with_its_attempts(gateway: Gateway) -> None:
    await ask(gateway, "m")
    _, page = await call(gateway, "GET /requests")
    (one,) = page["requests"]
    assert one["attempts"][0]["outcome"] == "ok"
    assert one["cost_usd"] == one["cost_nano_usd"] / 1e9
    for id in (one["id"], one["request_id"]):
        status, found = await call(gateway, f"GET /requests/{id}")
        classes = found.pop("classes")
        assert found.pop("by_unit") == []
        assert (status, found) == (200, one)
        assert [(part["class"], part["tokens"], part["price"], part["cost_usd"]) for part in classes] == [
            ("input", 1, 0.002, 0.000002),
            ("cache_read", 0, 0.002, 0),
            ("output", 1, 0.01, 0.00001),
            ("reasoning", 0, 0.01, 0),
        ]
    assert (await call(gateway, "GET /requests/none"))[0] == 404


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "1001"},
        {"status": "20"},
        {"status": "xx"},
        {"slower_than_ms": "fast"},
        {"dearer_than_usd": "-1"},
        {"colour": "red"},
        {"before": "x"},
        {"before": "z" * 26},
        {"before": "0" * 25},
    ],
)
async def test_what_cannot_be_asked(gateway: Gateway, query: dict[str, str]) -> None:
    assert (await call(gateway, "GET /requests", query=query))[0] == 400


class Events:
    """Reads server-sent events."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content

    async def next(self) -> tuple[str, Any]:
        """The next event's name and data; comments are passed over."""
        async with asyncio.timeout(5):
            while True:
                lines = (await self._content.readuntil(b"\n\n")).decode().strip().splitlines()
                fields = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
                if "event" in fields:
                    return fields["event"], json.loads(fields["data"])


@asynccontextmanager
async def live(gateway: Gateway, **query: str) -> AsyncIterator[Events]:
    url = f"{gateway.url}/admin/v1/requests/stream"
    async with gateway.session.get(url, params=query, headers=ADMIN) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        await response.content.readuntil(b"\n\n")
        yield Events(response.content)


async def test_the_stream_shows_what_comes_and_only_that(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "_POLL", POLL)
    await ask(gateway, "m")
    async with live(gateway) as events, live(gateway, status="4xx") as refused:
        await ask(gateway, "broken", "nope")
        shown = [await events.next() for _ in range(2)]
        assert [(name, one["alias"]) for name, one in shown] == [("request", "broken"), ("request", "nope")]
        assert (await refused.next())[1]["alias"] == "nope"
        await ask(gateway, "m")
        assert (await events.next())[1]["alias"] == "m"


async def test_a_stream_that_cannot_keep_up_says_so(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "_POLL", POLL)
    monkeypatch.setattr(requests, "_AT_ONCE", 3)
    async with live(gateway) as events:
        await asyncio.gather(*(gateway.ask() for _ in range(10)))
        names = [(await events.next())[0] for _ in range(4)]
    assert sorted(names) == ["gap", "request", "request", "request"]


async def test_a_stream_goes_on_where_a_clock_that_was_ahead_has_been_set_right(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "_POLL", POLL)
    monkeypatch.setattr(requests, "_AT_ONCE", 3)
    later = time.time() + 3600.0
    await gateway.live.store.append([Record(later, "v1", "r", "one", "chat", "ahead") for _ in range(3)])
    async with live(gateway) as events:
        await ask(gateway, "m")
        assert (await events.next())[1]["alias"] == "m"


async def test_streams_are_few_and_let_go(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "_POLL", POLL)
    monkeypatch.setattr(stream, "MAX_STREAMS", 1)
    async with live(gateway):
        status, body = await call(gateway, "GET /requests/stream")
        assert status == 503
        assert "open already" in body["error"]
    for _ in range(200):
        await asyncio.sleep(0.005)
        url = f"{gateway.url}/admin/v1/requests/stream"
        async with gateway.session.get(url, headers=ADMIN) as response:
            if response.status == 200:
                return
    raise AssertionError("the first stream was never let go")


class LeftAtOnce(stream.EventStream):
    """A stream whose viewer goes right before it begins."""

    def __init__(self, request: web.Request) -> None:
        super().__init__(request)
        assert request.transport is not None
        request.transport.abort()


async def test_a_viewer_who_went_before_the_stream_began_is_no_error(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stream, "EventStream", LeftAtOnce)
    with pytest.raises(aiohttp.ClientError):
        await call(gateway, "GET /requests/stream")
    samples = await gateway.samples()
    assert samples.values("admin_requests_total", "status") == {"200"}
    assert "internal error" not in caplog.messages


async def test_stopping_ends_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "_POLL", POLL)
    async with running(administered(), tmp_path) as gateway:
        url = f"{gateway.url}/admin/v1/requests/stream"
        async with gateway.session.get(url, headers=ADMIN) as response:
            gateway.daemon.stop()
            async with asyncio.timeout(5):
                try:
                    await response.read()
                except aiohttp.ClientPayloadError:
                    pass  # cut off in the middle is an end as well
