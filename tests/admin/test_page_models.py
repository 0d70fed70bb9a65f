"""Models and aliases with their prices, and the routing dry run as a page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.admin.pages.routing import TERMS
from gateway.routing import adaptive, hybrid
from tests.admin.browsing import Browser, browsing
from tests.admin.calling import ECHO, administered, call
from tests.daemon.running import running

UNPRICED = {"id": "lab", "type": "echo", "model": "trial", "api_keys": [{"id": "k", "key": "canary-lab"}]}
ALIASES = {
    "smart": [{"target": "up:m", "weight": 3}, {"target": "lab:trial", "weight": 1}],
    "astray": ["up:m", "nowhere:m"],
}


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    config = administered(ECHO, UNPRICED, model_aliases=ALIASES)
    config["api_keys"] += [
        {"id": "thrifty", "key": "sk-thrifty-key", "budget": {"usd": 1}},
        {"id": "barred", "key": "sk-barred-key", "allowed_models": ["other"]},
    ]
    async with running(config, tmp_path) as gateway, browsing(gateway) as browser:
        await browser.log_in()
        yield browser


async def test_prices_per_thousand_and_per_million(browser: Browser) -> None:
    page = await browser.get("/ui/models")
    assert page.status == 200
    assert "$2.00 $0.002 per 1,000" in page.words
    assert "$10.00 $0.01 per 1,000" in page.words


async def test_warnings(browser: Browser) -> None:
    words = (await browser.get("/ui/models")).words
    assert "1 model has no price" in words and "lab:trial" in words
    assert "nowhere:m" in words and "no such provider" in words


async def test_aliases_with_targets_and_weights(browser: Browser) -> None:
    assert "up:m 3 75 %" in (await browser.get("/ui/models")).words
    _, body = await call(browser.gateway, "GET /models")
    named = {one["name"]: one["targets"] for one in body["models"]}
    assert named["smart"] == [
        {"target": "up:m", "weight": 3, "known": True},
        {"target": "lab:trial", "weight": 1, "known": True},
    ]
    assert [one["known"] for one in named["astray"]] == [True, False]
    assert named["m"] == []


async def test_each_target_has_the_price_of_its_own_provider(tmp_path: Path) -> None:
    def echo(id_: str, input_: float | None) -> dict[str, Any]:
        pricing = {"pricing": {"input_token_cost": input_, "output_token_cost": 0.01}} if input_ else {}
        return {"id": id_, "type": "echo", "model": "m", "api_keys": [f"canary-{id_}"], **pricing}

    aliases = {
        "smart": ["up:m", {"target": "bup:m", "weight": 2}],
        "any": "echo:m",
        "ghost": "gone:m",
        "void": "lab:m",
    }
    config = administered(echo("up", 0.002), echo("bup", 0.004), echo("lab", None), model_aliases=aliases)
    async with running(config, tmp_path) as gateway, browsing(gateway) as browser:
        await browser.log_in()
        page = await browser.get("/ui/models")
        assert page.status == 200
        ten = "$10.00 $0.01 per 1,000"
        assert f"up:m 1 33 % $2.00 $0.002 per 1,000 {ten}" in page.words
        assert f"bup:m 2 67 % $4.00 $0.004 per 1,000 {ten}" in page.words
        both = "$2.00 – $4.00 $0.002 – $0.004 per 1,000"
        assert f"echo:m 1 100 % {both} unknown {ten} unknown" in page.words
        assert "lab:m 1 100 % unknown unknown" in page.words
        assert page.words.partition("gone:m no such provider")[2].split()[:3] == ["1", "100", "%"]
        assert (await browser.get("/ui/models?q=ghost")).status == 200


async def test_a_search_finds_models_providers_and_aliases(browser: Browser) -> None:
    page = await browser.get("/ui/models?q=TRIAL")
    assert "route?model=lab%3Atrial" in page.text and "route?model=smart" in page.text
    assert "route?model=up%3Am" not in page.text and "route?model=astray" not in page.text
    words = (await browser.get("/ui/models?q=nothing-like-it")).words
    assert "No model matches." in words and "No alias matches." in words


async def test_a_dry_run_shows_every_candidate_and_why(browser: Browser) -> None:
    page = await browser.get("/ui/models/route?model=smart&input_tokens=1000&max_tokens=100&stream=yes")
    assert page.status == 200
    assert "would be asked" in page.words
    assert page.text.count("<meter") == 15  # five terms of three candidates
    assert "$0.003" in page.words and "unknown" in page.words
    assert "Expected: 1,000 tokens in, 100 out." in page.words


def test_every_term_of_our_own_algorithms_has_a_word() -> None:
    assert {*hybrid.TERMS, *adaptive.TERMS, "turn", "affinity"} == set(TERMS)


async def test_a_dry_run_for_a_client(browser: Browser) -> None:
    page = await browser.get("/ui/models/route?model=smart&client=thrifty")
    assert "its price is not known, and the client has a budget" in page.words
    page = await browser.get("/ui/models/route?model=m&client=barred")
    assert "The client would get 403 model_not_allowed" in page.words
    page = await browser.get("/ui/models/route?model=nothing-like-it")
    assert "The client would get 404 model_not_found" in page.words


async def test_a_client_at_its_limit_is_said(tmp_path: Path) -> None:
    config = administered()
    config["api_keys"][0]["limits"] = {"req_per_min": 1}
    async with running(config, tmp_path) as gateway, browsing(gateway) as browser:
        await browser.log_in()
        assert (await gateway.ask())[0] == 200
        page = await browser.get("/ui/models/route?model=m&client=one")
        assert "The client is at a limit" in page.words
        assert "its requests window is full: 1 of 1" in page.words


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("model=m&client=nobody", "There is no client 'nobody'."),
        ("model=m&input_tokens=many", "must be a whole number from 0"),
        ("model=m&max_tokens=0", "must be a whole number from 1"),
        (f"model={'x' * 600}", "model"),
    ],
)
async def test_what_is_wrong_is_said_beside_its_field(browser: Browser, query: str, words: str) -> None:
    page = await browser.get(f"/ui/models/route?{query}")
    assert page.status == 400
    assert words in page.words and 'aria-invalid="true"' in page.text


async def test_the_form_alone_says_what_it_is_for(browser: Browser) -> None:
    assert "Which model is asked for?" in (await browser.get("/ui/models/route")).words


async def test_where_nothing_is_configured_it_says_what_to_do(tmp_path: Path) -> None:
    config = administered({"id": "up", "type": "echo", "api_keys": ["canary-key"]})
    async with running(config, tmp_path) as gateway, browsing(gateway) as browser:
        await browser.log_in()
        words = (await browser.get("/ui/models")).words
        assert "No provider lists a model." in words and "There is no alias." in words
