"""What each error status of an upstream means for the key, for the request and for the client."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from gateway.routing.circuit import CircuitState
from tests.daemon.faulty import QUICK, check_error, outcomes, reported, tries, upstream
from tests.daemon.running import Gateway, configured, running
from tests.fakes.chat import error_body
from tests.fakes.nasty import NastyServer, Step
from tests.fakes.steps import answer, limited, redirect, stream

IN_TURN = {"algorithm": "round_robin"}
QUOTA = answer(429, error_body("Quota exceeded.", "insufficient_quota", "insufficient_quota"))
REJECTED = error_body("Incorrect API key provided: secret-a.", "invalid_request_error", "invalid_api_key")


def key_used(server: NastyServer, index: int) -> str:
    return server.requests[index].headers["authorization"].removeprefix("Bearer secret-")


def cooled(gateway: Gateway, key: str) -> float:
    """Seconds for which a key of the provider ``up`` is still not used."""
    until = gateway.live.memory.keys[f"key:up/{key}"].meter.cooled_until
    return until - asyncio.get_running_loop().time()


@pytest.mark.parametrize(
    ("header", "value", "low", "high"),
    [
        ("Retry-After", "7", 6, 7),
        ("Retry-After", "date", 20, 30),
        ("Retry-After-Ms", "2500", 1.5, 2.5),
        ("Retry-After", "1000000000", 299, 300),
        ("Retry-After", "soon", 0.5, 1.25),
        ("Retry-After", "-5", 0.5, 1.25),
        ("Retry-After", "nan", 0.5, 1.25),
        ("Retry-After", "1e9", 0.5, 1.25),
        ("X-None", "", 0.5, 1.25),
    ],
)
async def test_a_limited_key_rests_as_long_as_it_is_told_and_the_next_one_answers(
    nasty: NastyServer, tmp_path: Path, header: str, value: str, low: float, high: float
) -> None:
    if value == "date":
        value = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    nasty.script(limited(value, name=header))
    config = configured(upstream(nasty.url, keys=("a", "b")), policy=IN_TURN)
    async with running(config, tmp_path) as gateway:
        assert (await gateway.ask())[0] == 200
        assert low < cooled(gateway, "a") <= high
        assert (await gateway.ask())[0] == 200
        assert [key_used(nasty, index) for index in range(3)] == ["a", "b", "b"]
        second, first = await gateway.records(2)
        assert tries(first) == [("up", 429, "limited"), ("up", 200, "ok")]
        assert tries(second) == [("up", 200, "ok")]


@pytest.mark.parametrize("streamed", [False, True])
async def test_all_keys_limited_is_429_until_the_first_of_them_is_free(
    nasty: NastyServer, tmp_path: Path, streamed: bool
) -> None:
    nasty.script(limited("7"), limited("30"))
    config = configured(upstream(nasty.url, keys=("a", "b")), policy=IN_TURN)
    async with running(config, tmp_path) as gateway:
        for spent in (True, False):  # the request that finds out, and the next, which asks nobody
            status, body, headers = await gateway.ask(stream=streamed)
            assert status == 429
            error = check_error(body, "upstream_rate_limited")
            assert error["type"] == "rate_limit_error"
            assert (headers["retry-after"], headers["x-coo-error-source"]) == ("7", "provider")
            assert 6 < error["details"]["retry_after"] <= 7
            assert ("x-should-retry" in headers) is spent
        assert len(nasty.requests) == 2
        second, first = await gateway.records(2)
        assert (first.status, first.error, outcomes(first)) == (429, "upstream_rate_limited", ["limited"] * 2)
        assert (second.status, second.error, outcomes(second)) == (429, "upstream_rate_limited", [])


async def test_a_limit_without_a_time_to_wait_names_one_to_the_client(
    nasty: NastyServer, tmp_path: Path
) -> None:
    nasty.default = limited()
    async with running(configured(upstream(nasty.url)), tmp_path) as gateway:
        status, body, headers = await gateway.ask()
        assert status == 429
        check_error(body, "upstream_rate_limited")
        assert headers["retry-after"] in ("1", "2")
        assert len(nasty.requests) == 1


@pytest.mark.parametrize(
    ("rejection", "outcome", "rest"),
    [
        (answer(401, REJECTED), "key", 60),
        (answer(403, REJECTED), "key", 60),
        (QUOTA, "quota", 3600),
        (answer(402, error_body("Payment required.")), "quota", 3600),
    ],
)
async def test_a_rejected_key_is_disabled_and_the_client_never_hears_of_it(
    nasty: NastyServer, tmp_path: Path, rejection: tuple[Step, ...], outcome: str, rest: float
) -> None:
    nasty.script(rejection)
    config = configured(upstream(nasty.url, keys=("a", "b")), policy=IN_TURN)
    async with running(config, tmp_path) as gateway:
        for _ in range(3):
            assert (await gateway.ask())[0] == 200
        assert [key_used(nasty, index) for index in range(4)] == ["a", "b", "b", "b"]
        assert rest - 1 < cooled(gateway, "a") <= rest
        assert gateway.live.memory.keys["key:up/a"].penalty.disabled(asyncio.get_running_loop().time())
        assert tries((await gateway.records(3))[2])[0][2] == outcome


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("status", [401, 403])
async def test_all_keys_rejected_is_our_502_not_the_clients_401(
    nasty: NastyServer, tmp_path: Path, status: int, streamed: bool
) -> None:
    nasty.default = answer(status, REJECTED)
    config = configured(upstream(nasty.url, keys=("a", "b")))
    async with running(config, tmp_path) as gateway:
        for _ in range(2):  # the second asks nobody: both keys are known to be bad
            answered, body, headers = await gateway.ask(stream=streamed)
            assert answered == 502
            check_error(body, "upstream_auth_error")
            assert headers["x-should-retry"] == "false"
        assert len(nasty.requests) == 2


async def test_a_limited_key_beside_a_rejected_one_is_worth_waiting_for(
    nasty: NastyServer, tmp_path: Path
) -> None:
    nasty.script(limited("7"), answer(401, REJECTED))
    config = configured(upstream(nasty.url, keys=("a", "b")), policy=IN_TURN)
    async with running(config, tmp_path) as gateway:
        for _ in range(2):
            status, body, headers = await gateway.ask()
            assert (status, headers["retry-after"]) == (429, "7")
            check_error(body, "upstream_rate_limited")


async def test_an_unknown_model_is_asked_of_another_provider(nasty: NastyServer, tmp_path: Path) -> None:
    nasty.script(answer(404, error_body("No such model.", "invalid_request_error", "model_not_found")))
    config = configured(
        upstream(nasty.url, "one", keys=("a", "b")), upstream(nasty.url, "two"), policy=IN_TURN
    )
    async with running(config, tmp_path) as gateway:
        assert (await gateway.ask())[0] == 200
        record = await reported(gateway)
        assert tries(record) == [("one", 404, "model"), ("two", 200, "ok")]
        assert gateway.live.memory.keys["key:one/a"].meter.cooled_until == 0


async def test_a_model_that_no_provider_knows_is_404(nasty: NastyServer, tmp_path: Path) -> None:
    nasty.default = answer(404, error_body("No such model.", "invalid_request_error", "model_not_found"))
    config = configured(upstream(nasty.url, keys=("a", "b")))
    async with running(config, tmp_path) as gateway:
        status, body, _ = await gateway.ask()
        assert status == 404
        assert check_error(body, "model_not_found")["message"] == "No such model."
        assert len(nasty.requests) == 1


NO_MODEL = answer(404, error_body("No such model.", "invalid_request_error", "model_not_found"))


@pytest.mark.parametrize(
    ("first", "second", "status", "code"),
    [
        (answer(500), NO_MODEL, 502, "upstream_error"),
        (answer(504), NO_MODEL, 504, "upstream_timeout"),
        (answer(529), NO_MODEL, 503, "upstream_overloaded"),
        (limited("7"), NO_MODEL, 429, "upstream_rate_limited"),
        (answer(401, REJECTED), NO_MODEL, 502, "upstream_auth_error"),
        (limited("7"), answer(500), 429, "upstream_rate_limited"),
        (answer(401, REJECTED), answer(500), 502, "upstream_error"),
        (answer(500), answer(401, REJECTED), 502, "upstream_error"),
        (answer(500), answer(400), 400, "upstream_rejected"),
        (NO_MODEL, NO_MODEL, 404, "model_not_found"),
    ],
)
async def test_of_different_failures_the_most_hopeful_is_told(
    nasty: NastyServer,
    tmp_path: Path,
    first: tuple[Step, ...],
    second: tuple[Step, ...],
    status: int,
    code: str,
) -> None:
    nasty.script(first, second)
    retry = {"max_attempts": 1}
    config = configured(upstream(nasty.url, "one"), upstream(nasty.url, "two"), policy={"retry": retry})
    async with running(config, tmp_path) as gateway:
        answered, body, headers = await gateway.ask(model="one:m")
        assert (answered, headers["x-coo-attempts"]) == (status, "2")
        assert body["error"]["code"] == code
        assert headers.get("retry-after") == ("7" if status == 429 else headers.get("retry-after"))


@pytest.mark.parametrize("status", [400, 409, 413, 422])
async def test_the_callers_mistake_comes_back_as_the_upstream_put_it(
    nasty: NastyServer, tmp_path: Path, status: int
) -> None:
    nasty.default = answer(status, error_body("Too much of it.", "invalid_request_error"))
    config = configured(upstream(nasty.url, "one"), upstream(nasty.url, "two"))
    async with running(config, tmp_path) as gateway:
        for _ in range(12):
            answered, body, headers = await gateway.ask()
            assert answered == status
            assert body["error"]["message"] == "Too much of it."
            # Of these SDKs retry a 409, unless they are told not to.
            assert headers.get("x-should-retry") == ("false" if status == 409 else None)
        assert len(nasty.requests) == 12
        now = asyncio.get_running_loop().time()
        for key in gateway.live.memory.keys.values():
            for model in key.models.values():
                assert model.circuit.state(now) is CircuitState.CLOSED
                assert model.health.error_rate(now) == 0
        for record in await gateway.records(12):
            assert (record.status, outcomes(record)) == (status, ["caller"])
            assert record.cost_nano_usd is None and record.input_tokens == 0


@pytest.mark.parametrize(
    ("status", "final", "code"),
    [
        (500, 502, "upstream_error"),
        (502, 502, "upstream_error"),
        (503, 502, "upstream_error"),
        (504, 504, "upstream_timeout"),
        (408, 502, "upstream_error"),
        (529, 503, "upstream_overloaded"),
        (599, 502, "upstream_error"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_failing_provider_is_passed_over_and_never_quoted(
    nasty: NastyServer, tmp_path: Path, status: int, final: int, code: str, streamed: bool
) -> None:
    good = stream() if streamed else answer()
    bad = answer(status, error_body("Node 10.1.2.3 with secret-a has failed."))
    nasty.script(bad, good)
    config = configured(upstream(nasty.url, "one"), upstream(nasty.url, "two"), policy=QUICK)
    async with running(config, tmp_path) as gateway:
        assert (await (gateway.stream if streamed else gateway.ask)())[0] == 200
        record = await reported(gateway)
        assert [attempt.status for attempt in record.attempts] == [status, 200]
        nasty.default = bad
        answered, body, headers = await gateway.ask(stream=streamed)
        assert answered == final
        check_error(body, code)
        assert "10.1.2.3" not in str(body)
        assert headers["x-should-retry"] == "false"
        if final == 503:
            assert int(headers["retry-after"]) >= 1


async def test_an_overloaded_provider_rests_for_the_time_it_names(nasty: NastyServer, tmp_path: Path) -> None:
    nasty.default = answer(529, headers={"Retry-After": "9"})
    async with running(configured(upstream(nasty.url)), tmp_path) as gateway:
        status, body, headers = await gateway.ask()
        assert (status, headers["retry-after"]) == (503, "9")
        check_error(body, "upstream_overloaded")
        assert len(nasty.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_no_redirect_is_followed(nasty: NastyServer, tmp_path: Path, status: int) -> None:
    async with NastyServer(answer()) as elsewhere:
        nasty.default = redirect(f"{elsewhere.url}/v1/chat/completions", status)
        async with running(configured(upstream(nasty.url), policy=QUICK), tmp_path) as gateway:
            answered, body, headers = await gateway.ask()
            assert answered == 502
            check_error(body, "upstream_error")
            assert "location" not in headers
            assert elsewhere.accepted == 0
