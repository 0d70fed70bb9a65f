"""The configuration's page: what it shows, what its forms do, and what they refuse."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway_stores.memory import MemoryConfigStore
from tests.admin.browsing import Answer, Browser, browsing
from tests.admin.calling import administered, audited
from tests.daemon.running import running

STORAGE = {"config": {"type": "memory"}, "runtime": {"type": "memory"}, "master_key": "a master key of tests"}
HOSTILE = "<img src=x onerror=stranger()>"
SECRET = "sk-canary-9876543210"


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    config = administered(
        logging=audited(tmp_path),
        storage=STORAGE,
        model_aliases={HOSTILE: "up:m"},
        policy={"priority": "token"},
    )
    async with running(config, tmp_path) as gateway, browsing(gateway) as browser:
        await browser.log_in()
        yield browser


async def post(browser: Browser, path: str, /, **form: str) -> Answer:
    page = await browser.get("/ui/config")
    return await browser.post(f"/ui/config/{path}", {"csrf": page.csrf, **form})


async def review(browser: Browser, text: str) -> Answer:
    return await post(browser, "review", patch=text)


def revision_in(answer: Answer) -> str:
    found = re.search(r'name="revision" value="([0-9a-f]{16})"', answer.text)
    assert found is not None, answer.words
    return found[1]


async def applied(browser: Browser, text: str) -> Answer:
    """The page that follows."""
    answer = await post(browser, "apply", patch=text, revision=revision_in(await review(browser, text)))
    assert (answer.status, answer.location) == (303, "/ui/config")
    return await browser.get("/ui/config")


def priority(browser: Browser) -> str:
    return browser.gateway.live.current.config.policy.priority


def audit(tmp_path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]


async def test_what_is_in_force_and_where_it_is_from(browser: Browser) -> None:
    await browser.gateway.admin("POST", "config", {"policy": {"algorithm": "round_robin"}})
    answer = await browser.get("/ui/config?search=policy.")
    assert answer.status == 200
    for words in (
        "policy.priority token file Change",
        "policy.algorithm round_robin set here Change",
        "policy.on_exhausted reject default Change",
        f"Version {browser.gateway.live.current.version} is in force",
    ):
        assert words in answer.words
    assert "server.listen" not in answer.words


@pytest.mark.parametrize(
    ("query", "there", "not_there"),
    [
        ("source=file", "policy.priority", "policy.algorithm"),
        ("source=default&search=POLICY.", "policy.algorithm", "policy.priority"),
        ("search=token", "policy.priority token", "policy.algorithm"),
        ("search=nothing-is-like-that", "No setting is like that.", "policy.priority"),
    ],
)
async def test_a_search(browser: Browser, query: str, there: str, not_there: str) -> None:
    answer = await browser.get(f"/ui/config?{query}")
    found = answer.words.partition("In force")[2]
    assert there in found and not_there not in found


async def test_many_settings_come_page_by_page(browser: Browser) -> None:
    answer = await browser.get("/ui/config")
    seen = re.findall(r'aria-label="Change ([^"]+)"', answer.text)
    assert len(seen) == 100
    while (more := re.search(r'rel="next" href="([^"#]+)', answer.text)) is not None:
        answer = await browser.get(more[1].replace("&amp;", "&"))
        seen += re.findall(r'aria-label="Change ([^"]+)"', answer.text)
    assert len(seen) == len(set(seen)) > 100
    assert "policy.priority" in seen


async def test_secrets_are_masked_everywhere(browser: Browser) -> None:
    await browser.gateway.admin(
        "POST", "config", {"llm_providers": [{"id": "up", "api_keys": [{"id": "third", "key": SECRET}]}]}
    )
    for path in ("", "?search=api_keys", "?search=canary", "?edit=llm_providers.up.api_keys.first.key"):
        assert "canary-of" not in (await browser.get(f"/ui/config{path}")).text
        assert SECRET not in (await browser.get(f"/ui/config{path}")).text


async def test_a_setting_is_edited_beginning_with_what_it_is(browser: Browser) -> None:
    answer = await browser.get("/ui/config?edit=llm_providers.up.limits.req_per_min")
    text = "llm_providers:\n- id: up\n  limits:\n    req_per_min: 0\n"
    assert text in answer.text
    answer = await browser.get("/ui/config?edit=llm_providers.up.api_keys.first.key")
    masked = re.search(r"llm_providers:\n[^<]*", answer.text)
    assert masked is not None and "…" in masked[0].replace("\\u2026", "…")
    unchanged = masked[0].replace("&#34;", '"')
    assert "nothing would change" in (await review(browser, unchanged)).words


async def test_a_change_is_shown_then_applied_then_taken_back(browser: Browser, tmp_path: Path) -> None:
    text = "policy:\r\n  retry: {max_attempts: 7}\r\n"
    answer = await review(browser, text)
    assert "policy.retry.max_attempts 3 7 at once" in answer.words
    assert browser.gateway.live.current.config.policy.retry.max_attempts == 3
    assert not [line for line in audit(tmp_path) if str(line["route"]).endswith("/review")]
    answer = await applied(browser, text)
    assert browser.gateway.live.current.config.policy.retry.max_attempts == 7
    version = browser.gateway.live.current.version
    assert f"Applied. Version {version} is in force." in answer.words
    assert "policy.retry.max_attempts 7 Take back" in answer.words
    answer = await post(browser, "revert", path="policy.retry.max_attempts", revision=revision_in(answer))
    assert answer.status == 303
    answer = await browser.get("/ui/config")
    assert "Taken back: policy.retry.max_attempts." in answer.words
    assert "Nothing is set here." in answer.words
    assert browser.gateway.live.current.config.policy.retry.max_attempts == 3
    routes = [(line["route"], line["changes"]) for line in audit(tmp_path)][-2:]
    changes = ["policy.retry.max_attempts"]
    assert routes == [("/ui/config/apply", changes), ("/ui/config/revert", changes)]


async def test_all_is_taken_back(browser: Browser) -> None:
    page = await applied(browser, 'model_aliases: {"a.b": "up:m"}\npolicy: {priority: cost}')
    assert 'model_aliases."a.b"' in page.words
    await post(browser, "revert", revision=revision_in(page))
    page = await browser.get("/ui/config")
    assert "All is taken back." in page.words and "Nothing is set here." in page.words
    assert priority(browser) == "token"


async def test_every_kind_of_setting_can_be_taken_back(browser: Browser) -> None:
    text = (
        'model_aliases: {"a.b": "up:m"}\nllm_providers:\n  - {id: up, limits: {req_per_min: 9}}\n'
        "api_keys:\n  - {id: one, limits: {req_per_min: 5}}\npolicy: {priority: null}"
    )
    page = await applied(browser, text)
    names = [name.replace("&#34;", '"') for name in re.findall(r'name="path" value="([^"]+)"', page.text)]
    assert set(names) == {
        'model_aliases."a.b"',
        "llm_providers.up.limits.req_per_min",
        "api_keys.one",
        "policy.priority",
    }
    for name in names:
        page = await browser.get("/ui/config")
        await post(browser, "revert", path=name, revision=revision_in(page))
        assert f"Taken back: {name}." in (await browser.get("/ui/config")).words
    assert "Nothing is set here." in (await browser.get("/ui/config")).words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("policy:\n  algoritm: x", "policy.algoritm : unknown setting"),
        ("policy:\n  algorithm: x", "(line 2 of the text)"),
        ("policy: {", "not valid YAML"),
        ("- 1", "must be settings by their names"),
        ("storage: {master_key: x}", "it can only be set in the file"),
        ("nothing: 1", "nothing : "),
    ],
)
async def test_what_is_wrong_is_said_in_place_and_cannot_be_applied(
    browser: Browser, text: str, words: str
) -> None:
    before = browser.gateway.live.current.version
    for answer in (await review(browser, text), await post(browser, "apply", patch=text, revision="x")):
        assert words in answer.words
        assert "wrong." in answer.words
        assert 'action="/ui/config/apply"' not in answer.text
        assert text.splitlines()[0] in answer.text
    assert browser.gateway.live.current.version == before


async def test_the_part_that_a_script_asks_for(browser: Browser) -> None:
    page = await browser.get("/ui/config")
    form = {"csrf": page.csrf, "patch": "policy: {priority: cost}"}
    answer = await browser.post("/ui/config/review", form, x_part="review")
    assert answer.text.startswith('<div id="review"')
    assert "policy.priority token cost" in answer.words


async def test_what_somebody_else_has_changed_since_is_not_lost(browser: Browser, tmp_path: Path) -> None:
    text = "policy: {priority: cost}"
    seen = revision_in(await review(browser, text))
    await browser.gateway.admin("POST", "config", {"policy": {"priority": "latency"}})
    answer = await post(browser, "apply", patch=text, revision=seen)
    assert answer.status == 412
    assert "Somebody else has changed the configuration in the meantime" in answer.words
    assert "policy.priority latency cost" in answer.words
    assert priority(browser) == "latency"
    assert audit(tmp_path)[-1]["status"] == 412 and audit(tmp_path)[-1]["changes"] == []
    assert (await post(browser, "apply", patch=text, revision=revision_in(answer))).status == 303
    assert priority(browser) == "cost"
    await post(browser, "revert", path="policy.priority", revision=seen)
    assert "Somebody else has changed" in (await browser.get("/ui/config")).words
    assert priority(browser) == "cost"


async def test_a_change_made_through_another_gateway_is_shown_at_once(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    store, text = MemoryConfigStore(), "policy: {priority: cost}"
    async with (
        running(administered(storage=STORAGE), folders[0], config_store=store) as here,
        running(administered(storage=STORAGE), folders[1], config_store=store) as there,
        browsing(here) as browser,
    ):
        await browser.log_in()
        seen = revision_in(await review(browser, text))
        await there.admin("POST", "config", {"policy": {"priority": "latency"}})
        answer = await post(browser, "apply", patch=text, revision=seen)
        assert answer.status == 412
        assert "policy.priority latency cost" in answer.words
        assert (await post(browser, "apply", patch=text, revision=revision_in(answer))).status == 303


async def test_what_waits_for_a_restart_is_said_before_and_after(browser: Browser) -> None:
    text = 'server: {listen: "127.0.0.1:1"}'
    assert "after a restart" in (await review(browser, text)).words
    answer = await applied(browser, text)
    assert "A restart is needed for server.listen." in answer.words
    assert "server.listen is kept and takes effect when the gateway is restarted." in answer.words


async def test_a_new_secret_is_shown_masked_and_kept_sealed(browser: Browser) -> None:
    text = f"llm_providers:\n  - id: up\n    api_keys: [{{id: third, key: {SECRET}}}]"
    answer = await review(browser, text)
    assert "llm_providers.up.api_keys.third.key not set sk-…3210" in answer.words
    assert SECRET not in (await applied(browser, text)).text


async def test_the_form_of_the_policy(browser: Browser) -> None:
    page = await browser.get("/ui/config")
    form = {
        "algorithm": "round_robin",
        "priority": "token",
        "retry.max_attempts": "5",
        "retry.timeout": "",
        "cache.enabled": "true",
        "cache.ttl_seconds": "5m",
    }
    answer = await browser.post("/ui/config/policy", {"csrf": page.csrf, **form})
    assert "policy: algorithm: round_robin retry: max_attempts: 5 cache:" in answer.words
    for words in ("policy.algorithm hybrid round_robin", "policy.cache.ttl_seconds 10 300"):
        assert words in answer.words
    assert "policy.priority token" not in answer.words.partition("In force")[0]
    form["retry.max_attempts"] = "many"
    answer = await browser.post("/ui/config/policy", {"csrf": page.csrf, **form})
    assert 'aria-describedby="f-retry.max_attempts-hint f-retry.max_attempts-error"' in answer.text
    assert 'value="many"' in answer.text
    answer = await browser.post("/ui/config/policy", {"csrf": page.csrf, "priority": "token"})
    assert answer.status == 303
    assert "Nothing in the form differs" in (await browser.get("/ui/config")).words


async def test_the_file_is_read_again(browser: Browser) -> None:
    gateway = browser.gateway
    gateway.write({**gateway.config, "policy": {"priority": "req"}})
    await post(browser, "reload")
    version = gateway.live.current.version
    assert f"Read again. Version {version} is in force." in (await browser.get("/ui/config")).words
    await post(browser, "reload")
    assert "Nothing has changed." in (await browser.get("/ui/config")).words


async def test_a_reload_that_failed_is_told_with_path_and_line(browser: Browser) -> None:
    gateway = browser.gateway
    version = gateway.live.current.version
    gateway.path.write_text(
        gateway.path.read_text().replace('"token"', '"' + "tokens" + '"').replace(", ", ",\n")
    )
    await post(browser, "reload")
    answer = await browser.get("/ui/config")
    assert "nothing has changed: see below" in answer.words
    assert "The newest configuration is not in effect" in answer.words
    assert f"Version {version} is in force, the last one that was good" in answer.words
    assert re.search(r"policy\.priority .*\[line \d+\]", answer.words)


@pytest.mark.parametrize("path", ["review", "policy", "apply", "revert", "reload"])
async def test_nothing_is_done_without_a_token(browser: Browser, path: str) -> None:
    form = {"patch": "policy: {priority: cost}", "revision": "x", "csrf": "0" * 64}
    assert (await browser.post(f"/ui/config/{path}", form)).status == 403
    assert priority(browser) == "token"


async def test_hostile_names_are_text(browser: Browser) -> None:
    answer = await browser.get("/ui/config?search=model_aliases")
    assert "<img" not in answer.text and HOSTILE in answer.words
    answer = await review(browser, f'model_aliases: {{new: "up:\\u202e{"x" * 5000}"}}')
    cell = re.search(r"<ins>(.*?)</ins>", answer.text)
    assert cell is not None and "up:\\u202exxx" in cell[1] and len(cell[1]) < 400
    answer = await review(browser, f"'{HOSTILE}': 1")
    assert "<img" not in answer.text and "wrong." in answer.words
