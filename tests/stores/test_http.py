"""The HTTP store's own: the server's trouble, its tricks, and what it is told."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, fields
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from openapi_spec_validator import validate

from gateway.api import Filter, Limits, Refusal, Site, StoreUnavailable, Total
from gateway.api.ledger import LATENCY_BOUNDS
from gateway.api.testing.stores import granted, record
from gateway_stores import http
from gateway_stores.http import HttpStore
from gateway_stores.http_client import MAX_PAGE, HttpClient
from gateway_stores.http_config import HttpConfigStore
from gateway_stores.http_facts import HttpFacts
from gateway_stores.windows.head_count import HeadCount
from tests.daemon.running import until
from tests.fakes.http_store import KEY, HttpStoreServer, Trick

DOCUMENT = Path(__file__).parents[2] / "docs" / "http-store.yaml"


@pytest.fixture
async def server() -> AsyncIterator[HttpStoreServer]:
    async with HttpStoreServer(time.monotonic) as running:
        yield running


@pytest.fixture
async def store(server: HttpStoreServer) -> AsyncIterator[HttpStore]:
    made = HttpStore(server.addr, KEY, timeout=0.2)
    await made.open(Site())
    yield made
    await made.close()


async def redirected(request: web.Request) -> web.StreamResponse:
    raise web.HTTPTemporaryRedirect("/elsewhere")


async def failing(request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": KEY}, status=500)


async def garbage(request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>")


async def other_json(request: web.Request) -> web.StreamResponse:
    return web.json_response([1, 2, 3])


async def half_right(request: web.Request) -> web.StreamResponse:
    return web.json_response({"answers": [{"buckets": {}, "granted": {"requests": 9}, "holders": None}]})


async def endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    for _ in range(MAX_PAGE // 2**20 + 2):
        await answer.write(b" " * 2**20)
    return answer


async def stalled(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    raise AssertionError("nobody waits so long")


TRICKS = [redirected, failing, garbage, other_json, half_right, endless, stalled]


@pytest.mark.parametrize("trick", TRICKS)
async def test_a_server_in_trouble_is_nobody_elses(
    server: HttpStoreServer, store: HttpStore, trick: Trick
) -> None:
    """Requests are admitted by a share of the limit, records are refused so that they come again, and the
    key is in no message. Then it heals."""
    server.trick = trick
    meter = store.meter("key:p/k", Limits(requests=10))
    answers = [await store.reserve(meter, 0) for _ in range(10)]
    admitted = sum(not isinstance(answer, Refusal) for answer in answers)
    assert 0 < admitted <= 5
    with pytest.raises(StoreUnavailable) as failure:
        await store.append([record(1)])
    assert KEY not in str(failure.value)
    assert (trouble := store.trouble()) is not None
    assert "127.0.0.1" in trouble.message
    assert KEY not in trouble.message
    assert "/elsewhere" not in [path for _, path in server.asked]
    server.trick = None
    await store.append([record(1)])
    assert await store.requests(Filter(), 10) == [record(1)]


def stand_still(seconds: float) -> None:
    time.sleep(seconds)


async def test_a_process_that_was_stopped_goes_by_the_answer(server: HttpStoreServer) -> None:
    """As it goes on it finds that the time for the answer is long over."""

    async def stop_meanwhile(request: web.Request) -> web.StreamResponse | None:
        if request.path.endswith("/exchange"):
            stand_still(0.5)  # the gateway's loop is the same
        return None

    limits = Limits(requests=10)
    one, other = HttpStore(server.addr, KEY), HttpStore(server.addr, KEY)
    for number, store in enumerate((one, other)):
        await store.open(Site(holder=f"holder-{number}"))
    meter = one.meter("key:p/k", limits)
    for _ in range(10):
        assert not isinstance(await one.reserve(meter, 0), Refusal)
    server.trick = stop_meanwhile
    assert isinstance(await other.reserve(other.meter("key:p/k", limits), 0), Refusal)
    assert other.trouble() is None
    server.trick = None
    for store in (one, other):
        await store.close()


async def cut(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"content-length": "100"})
    await answer.prepare(request)
    await answer.write(b"{")
    assert request.transport is not None
    request.transport.close()
    return answer


@pytest.mark.parametrize(
    ("trick", "words"), [(stalled, "gave no answer in time"), (cut, "broke off its answer")]
)
async def test_what_went_wrong_on_the_way_is_told_in_words_with_the_port(
    server: HttpStoreServer, store: HttpStore, trick: Trick, words: str
) -> None:
    server.trick = trick
    with pytest.raises(StoreUnavailable, match=rf"^the HTTP store at 127\.0\.0\.1:\d+ \(records\) {words}$"):
        await store.append([record(1)])


def failing_at(*paths: str) -> Trick:
    """Fails whatever is asked below these."""

    async def answer(request: web.Request) -> web.StreamResponse | None:
        return await failing(request) if request.path.startswith(paths) else None

    return answer


@pytest.mark.parametrize("limits", [Limits(requests=10), Limits()])
async def test_out_of_reach_at_the_start_that_limits_cannot_be_checked_is_known_at_once(
    server: HttpStoreServer, limits: Limits
) -> None:
    server.trick = failing
    store = HttpStore(server.addr, KEY, timeout=0.2)
    meter = store.meter("key:p/k", limits)
    await store.open(Site(on_trouble="closed"))
    trouble = store.trouble()
    assert trouble is not None
    assert trouble.limits == bool(meter.limits.requests)
    await store.close()


async def test_records_that_are_not_taken_are_trouble_until_they_are(
    server: HttpStoreServer, store: HttpStore
) -> None:
    """Whatever else is asked for meanwhile, and answered."""
    server.trick = failing_at("/records")
    with pytest.raises(StoreUnavailable):
        await store.append([record(1)])
    told = store.trouble()
    assert told is not None
    await store.cache_put("k", b"v", 60.0)
    assert await store.cache_get("k") == b"v"
    with pytest.raises(StoreUnavailable):
        await store.append([record(1)])
    assert store.trouble() == told
    server.trick = None
    await store.append([record(1)])
    assert store.trouble() is None


async def test_neither_cached_answers_nor_counters_nor_reports_are_trouble(server: HttpStoreServer) -> None:
    """They are counted: nothing would end a trouble of what is not asked for again."""
    failures: list[str] = []
    server.trick = failing_at("/cache", "/usage", "/records/query")
    store = HttpStore(server.addr, KEY)
    await store.open(Site(failed=failures.append))
    used = record(1)
    used.provider, used.key = "p", "k"
    await store.append([used])
    for call in (store.cache_get("k"), store.cache_put("k", b"v", 60.0), store.requests(Filter(), 1)):
        with pytest.raises(StoreUnavailable):
            await call
    assert store.trouble() is None
    assert list(dict.fromkeys(failures)) == ["usage", "cache_get", "cache_put", "requests"]
    await store.close()


async def test_facts_that_are_not_exchanged_leave_limits_alone(
    server: HttpStoreServer, store: HttpStore
) -> None:
    """Where nothing is answered any more, that shows without a request, and so does its end."""
    meter = store.meter("client:c", Limits(requests=10))
    server.trick = failing_at("/facts")
    server.asked.clear()
    await until(lambda: ("POST", "/windows/exchange") in server.asked)
    await until(lambda: (now := store.trouble()) is not None and not now.limits)
    server.trick = failing
    await until(lambda: (now := store.trouble()) is not None and now.limits)
    server.trick = None
    await until(lambda: store.trouble() is None)
    assert meter.in_flight == 0


def answering(answer: dict[str, object]) -> Trick:
    """Answers all with this."""

    async def answered(request: web.Request) -> web.StreamResponse:
        return web.json_response(answer)

    return answered


@pytest.mark.parametrize("absurd", [10**30, 2**63, -1])
async def test_an_absurd_number_of_facts_is_not_kept(server: HttpStoreServer, absurd: int) -> None:
    """It would come back with the next question, which could not be asked."""
    client = HttpClient(server.addr, KEY, 5.0)
    facts = HttpFacts(client)
    server.trick = answering({"next": absurd, "facts": []})
    with pytest.raises(StoreUnavailable, match="something other than docs"):
        await facts.exchange("here", [])
    server.trick = None
    assert await facts.exchange("here", []) == []
    await client.close()


@pytest.mark.parametrize(
    "absurd",
    [
        {"granted": {"requests": 10**30}},
        {"others": {"requests": 10**30}},
        {"buckets": {"requests": [[1.0, 10**30]]}},
        {"acknowledged": 10**30},
        {"holders": 10**30},
    ],
)
async def test_absurd_figures_of_windows_are_not_taken(
    server: HttpStoreServer, absurd: dict[str, object]
) -> None:
    """What is granted goes back as held, and could not be given back."""
    store = HttpStore(server.addr, KEY)
    await store.open(Site())
    meter = store.meter("client:c", Limits(requests=10**6))
    answer = {"stale": False, "acknowledged": 0, "granted": {}, "buckets": {}, "others": {}, "holders": 1}
    server.trick = answering({"answers": [{**answer, **absurd}], "next": 0, "facts": []})
    await granted(store, meter)
    assert (trouble := store.trouble()) is not None
    assert "something other than docs" in trouble.message
    server.trick = None
    await until(lambda: store.trouble() is None)
    await store.close()


async def test_windows_heal_and_what_was_used_meanwhile_counts_once(server: HttpStoreServer) -> None:
    here = HttpStore(server.addr, KEY)
    server.trick = failing
    await here.open(Site(holder="here"))
    meter = here.meter("key:p/k", Limits(requests=20))
    taken = [await granted(here, meter) for _ in range(5)]
    server.trick = None
    await until(lambda: here.trouble() is None)
    for one in taken:
        await here.settle(one, 0)
    await here.close()
    there = HttpStore(server.addr, KEY)
    await there.open(Site(holder="there"))
    again = there.meter("key:p/k", Limits(requests=20))
    answers = [await there.reserve(again, 0) for _ in range(20)]
    await there.close()
    assert sum(not isinstance(answer, Refusal) for answer in answers) == 15


async def test_without_it_each_takes_its_part_of_all_that_were_there(
    server: HttpStoreServer, tmp_path: Path
) -> None:
    """Three of them; one ends, and begins anew when the service is gone already."""
    stores = [HttpStore(server.addr, KEY) for _ in range(3)]
    for number, store in enumerate(stores):
        await store.open(Site(holder=str(number)))
    await until(lambda: all(store._facts.census.count == 3 for store in stores))
    server.trick = failing
    await stores[2].close()
    HeadCount(tmp_path).note(3)
    stores[2] = HttpStore(server.addr, KEY)
    await stores[2].open(Site(holder="another", folder=tmp_path))
    limits, admitted = Limits(requests=60), []
    for store in stores:
        answers = [await store.reserve(store.meter("key:p/k", limits), 0) for _ in range(60)]
        admitted.append(sum(not isinstance(answer, Refusal) for answer in answers))
        await store.close()
    assert admitted == [60 // 6] * 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"latencies": []},
        {"latencies": [0] * 14},
        {"latencies": ["0"] * 15},
        {"latencies": None},
        {"requests": "1"},
        {"cost_nano": 0.5},
        {"group": ["c", "d"]},
        {"group": "c"},
        {"group": [None]},
        {},
    ],
)
async def test_a_total_that_is_none_is_trouble(
    server: HttpStoreServer, store: HttpStore, wrong: dict[str, object]
) -> None:
    total = {**asdict(Total(("c",))), **wrong} if wrong else {"group": ["c"]}

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"totals": [total], "points": [[0, total]]})

    server.trick = answer
    for call in (store.totals(Filter(), ["client"]), store.series(Filter(0.0), 60.0, ["client"])):
        with pytest.raises(StoreUnavailable, match="something other than docs"):
            await call


async def test_a_wrong_key_is_trouble(server: HttpStoreServer) -> None:
    wrong = HttpStore(server.addr, "another-key")
    config = HttpConfigStore(server.addr, "another-key")
    for call in (wrong.append([record(1)]), config.read(), config.version(), config.write(b"{}", "")):
        with pytest.raises(StoreUnavailable, match=r"answered with status 401: check api_key$"):
            await call
    await wrong.close()
    await config.close()


async def test_a_document_without_an_etag_is_trouble(server: HttpStoreServer) -> None:
    server.trick = garbage
    config = HttpConfigStore(server.addr, KEY)
    for call in (config.read(), config.version(), config.write(b"{}", "")):
        with pytest.raises(StoreUnavailable, match=r"answered with status 200 without an etag$"):
            await call
    await config.close()


async def test_usage_is_counted_for_those_who_read_the_server(
    server: HttpStoreServer, store: HttpStore
) -> None:
    one, other = record(1), record(2)
    for each in (one, other):
        each.provider, each.key, each.input_tokens = "p q", "k/1", 7
    await store.append([one, other])
    await store.append([other])
    assert server.usage["/usage/p q/k/1/requests"] == 2
    assert server.usage["/usage/p q/k/1/input_tokens"] == 14
    assert server.usage["/usage/p q/k/1/cost_nano_usd"] == 3


async def test_counters_are_added_to_many_at_once_and_each_once(
    server: HttpStoreServer, store: HttpStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "COUNT_SECONDS", 5.0)
    calls, full = [], asyncio.Event()

    async def crowded(request: web.Request) -> web.StreamResponse | None:
        if request.path.startswith("/usage"):
            calls.append(request.path)
            if len(calls) == http.COUNTERS:
                full.set()
            await full.wait()
        return None

    server.trick = crowded
    used = [record(number) for number in range(http.COUNTERS)]
    for number, each in enumerate(used):
        each.provider, each.key, each.input_tokens = "p", f"k{number}", 7
    await store.append(used)
    assert len(calls) == len(set(calls)) == len(server.usage) >= 2 * http.COUNTERS
    assert {server.usage[path.removesuffix("/inc")] for path in calls if "input" in path} == {7}


async def test_counters_that_hang_hold_up_no_records(server: HttpStoreServer) -> None:
    """They are given up long before any other call is, and no more of them are begun."""

    async def hanging(request: web.Request) -> web.StreamResponse | None:
        return await stalled(request) if request.path.startswith("/usage") else None

    failures: list[str] = []
    server.trick = hanging
    store = HttpStore(server.addr, KEY, timeout=3600.0)
    await store.open(Site(failed=failures.append))
    used = [record(number) for number in range(4 * http.COUNTERS)]
    for number, each in enumerate(used):
        each.provider, each.key = "p", f"k{number}"
    await store.append(used)
    assert 1 <= len(failures) <= http.COUNTERS and set(failures) == {"usage"}
    assert await store.requests(Filter(), 1) == [used[-1]]
    await store.close()


async def test_a_document_behind_a_server_in_trouble(server: HttpStoreServer) -> None:
    config = HttpConfigStore(server.addr, KEY)
    version = await config.write(b"{}", "")
    for trick in (failing, redirected):
        server.trick = trick
        for call in (config.read(), config.version(), config.write(b"[]", version)):
            with pytest.raises(StoreUnavailable):
                await call
    server.trick = None
    assert await config.read() == (version, b"{}")
    await config.close()


@pytest.mark.parametrize("addr", ["", "store", "ftp://store", "http://"])
def test_an_address_that_is_none(addr: str) -> None:
    with pytest.raises(ValueError, match="addr"):
        HttpStore(addr)


@pytest.mark.parametrize("store", [HttpStore, HttpConfigStore])
@pytest.mark.parametrize(
    ("addr", "words"),
    [
        ("http://user:secret@host", "no user and no password"),
        ("http://secret@host", "no user and no password"),
        ("http://:secret@host", "no user and no password"),
        ("http://host/?key=secret", "no query"),
        ("http://host/#secret", "no fragment"),
    ],
)
def test_an_address_with_more_than_a_path(
    store: type[HttpStore | HttpConfigStore], addr: str, words: str
) -> None:
    """It is refused when it is checked, not when it is used, and not told."""
    with pytest.raises(ValueError, match=words) as refused:
        store(addr, "key")
    assert "secret" not in str(refused.value)


def test_secrets_are_in_no_repr() -> None:
    assert "secret" not in repr(HttpStore("http://host/secret", "secret-key"))


def test_the_document_names_what_the_server_offers() -> None:
    document = yaml.safe_load(DOCUMENT.read_text())
    validate(document)
    documented = {
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in item
        if method in ("get", "post", "put")
    }
    served = {
        (method, path.replace("{key}/{metric}", "{key_id}/{metric}"))
        for method, path in HttpStoreServer.routes()
    }
    assert served == documented


def test_the_document_says_all_of_a_total() -> None:
    total = yaml.safe_load(DOCUMENT.read_text())["components"]["schemas"]["Total"]
    latencies = total["properties"]["latencies"]
    names = [one.name for one in fields(Total)]
    assert list(total["properties"]) == total["required"] == names
    assert latencies["minItems"] == latencies["maxItems"] == len(LATENCY_BOUNDS) + 1
    assert tuple(map(int, re.findall(r"\d+", latencies["description"]))) == LATENCY_BOUNDS
