"""``logging.content``: prompts and answers in the request log and nowhere else, and only where it is on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from tests.admin.browsing import browsing
from tests.daemon.faulty import upstream
from tests.daemon.running import ADMIN_KEY, KEY, Gateway, configured, openai, running, until
from tests.fakes.chat import chat_stream_events
from tests.fakes.daemon import Daemon
from tests.fakes.nasty import NastyServer
from tests.fakes.openai import FakeOpenAI
from tests.fakes.steps import broken_stream, open_stream, stall
from tests.fakes.upstream import Fault
from tests.sinks.receiver import Receiver

CANARY = "canary-prompt-91c4"
PROMPT = [{"role": "user", "content": f"Say {CANARY}"}]
CHAT = {"model": "gpt-4o", "messages": PROMPT}
PROVIDER_KEY = "a-canary-of-a-provider"
CLIENT_KEY = "a-canary-of-a-client"
BEGUN = chat_stream_events((CANARY,), finish=None, usage=None, done=False)


def logging(folder: Path, *, content: bool = True, **more: Any) -> dict[str, Any]:
    return {
        "file": {"path": str(folder / "coo.log")},
        "audit": {"enabled": False},
        "content": content,
        **more,
    }


def config(url: str, folder: Path, **sections: Any) -> dict[str, Any]:
    provider = openai(url, models=["gpt-3.5-turbo-instruct", "text-embedding-3-small"])
    return configured(provider, **{"logging": logging(folder), **sections})


@asynccontextmanager
async def serving(url: str, folder: Path, **sections: Any) -> AsyncIterator[Gateway]:
    async with running(config(url, folder, **sections), folder) as gateway:
        yield gateway


def lines(folder: Path) -> list[dict[str, Any]]:
    """The request lines of the log, in the order in which the requests ended."""
    found = [orjson.loads(line) for line in (folder / "coo.log").read_bytes().splitlines()]
    return [line for line in found if line["message"] == "request"]


def contents(folder: Path) -> list[dict[str, Any]]:
    return [line["content"] for line in lines(folder)]


async def post(gateway: Gateway, path: str, body: dict[str, Any]) -> Any:
    async with gateway.session.post(gateway.url + path, json=body, headers=gateway.headers) as response:
        return await response.json()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {**CHAT, "temperature": 0.5}),
        ("/v1/completions", {"model": "gpt-3.5-turbo-instruct", "prompt": [CANARY, "two"]}),
        ("/v1/embeddings", {"model": "text-embedding-3-small", "input": [CANARY, "two"]}),
    ],
)
async def test_what_was_asked_and_answered(
    path: str, body: dict[str, Any], fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    async with serving(fake_openai.url, tmp_path) as gateway:
        answer = await post(gateway, path, body)
        assert (await gateway.get("/v1/models"))[0] == 200
    asked, models = lines(tmp_path)
    assert asked["content"] == {"request": body, "answer": answer}
    assert "content" not in models


@pytest.mark.parametrize("cached", [False, True])
async def test_a_stream_is_put_together(cached: bool, fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    policy = {"cache": {"enabled": cached}}
    async with serving(fake_openai.url, tmp_path, policy=policy) as gateway:
        _, events, _ = await gateway.stream(**CHAT, stream_options={"include_usage": True})
    (content,) = contents(tmp_path)
    assert content["request"]["messages"] == PROMPT
    (choice,) = content["answer"]["choices"]
    said = "".join(event["choices"][0]["delta"].get("content", "") for event in events[:-2])
    assert CANARY in said
    assert (choice["message"]["content"], choice["finish_reason"]) == (said, "stop")
    assert content["answer"]["usage"] == events[-2]["usage"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_hit_is_logged_as_its_own_answer(
    stream: bool, fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    async with serving(fake_openai.url, tmp_path, policy={"cache": {"enabled": True}}) as gateway:
        _, answer, _ = await gateway.ask(**CHAT)
        assert (await (gateway.stream if stream else gateway.ask)(**CHAT))[2]["x-coo-cache"] == "hit"
    first, hit = lines(tmp_path)
    assert first["content"]["answer"] == answer
    assert (hit["cache"], hit["content"]["request"]["messages"]) == ("hit", PROMPT)
    assert hit["content"]["answer"]["choices"] == answer["choices"]


@pytest.mark.parametrize("stream", [False, True])
async def test_who_follows_another_is_logged_as_well(
    stream: bool, fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    async with serving(fake_openai.url, tmp_path, policy={"cache": {"enabled": True}}) as gateway:
        gate = fake_openai.gate = asyncio.Event()
        ask = gateway.stream if stream else gateway.ask
        tasks = [asyncio.create_task(ask(**CHAT, user=str(number))) for number in range(3)]
        await until(lambda: len(fake_openai.requests) == 1 and gateway.live.in_flight == 3)
        gate.set()
        await asyncio.gather(*tasks)
    found = lines(tmp_path)
    assert sorted(line["cache"] for line in found) == ["coalesced", "coalesced", "miss"]
    assert {line["content"]["request"]["user"] for line in found} == {"0", "1", "2"}
    (text,) = {line["content"]["answer"]["choices"][0]["message"]["content"] for line in found}
    assert CANARY in text


async def test_a_stream_that_breaks_is_logged_as_far_as_it_came(tmp_path: Path) -> None:
    async with NastyServer(broken_stream(BEGUN)) as server:
        made = configured(upstream(server.url), logging=logging(tmp_path))
        async with running(made, tmp_path) as gateway:
            await gateway.stream(messages=PROMPT)
    (line,) = lines(tmp_path)
    assert line["partial"]
    assert line["content"]["answer"].startswith("data: {")
    assert CANARY in line["content"]["answer"]
    assert "error" not in line["content"]["answer"]


async def test_a_client_that_leaves_is_logged_with_what_it_got(tmp_path: Path) -> None:
    async with NastyServer(broken_stream(BEGUN, stall())) as server:
        made = configured(upstream(server.url), logging=logging(tmp_path))
        async with running(made, tmp_path) as gateway:
            async with gateway.chat(messages=PROMPT, stream=True) as response:
                await response.content.readany()
            await gateway.records(1)
    (line,) = lines(tmp_path)
    assert line["status"] == 499
    assert line["content"]["answer"].startswith("data: {")
    assert CANARY in line["content"]["answer"]


async def test_of_an_error_there_is_what_was_asked(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    async with serving(fake_openai.url, tmp_path) as gateway:
        fake_openai.script.append(Fault(400, "You said too much."))
        await gateway.ask(**CHAT)
        await gateway.stream(**{**CHAT, "temperature": 9})
        async with gateway.session.post(
            gateway.url + "/v1/chat/completions", data=b"{" + CANARY.encode(), headers=gateway.headers
        ) as response:
            assert response.status == 400
    refused, invalid, unread = lines(tmp_path)
    assert refused["content"] == {"request": CHAT, "answer": None}
    assert invalid["content"] == {"request": {**CHAT, "temperature": 9, "stream": True}, "answer": None}
    assert "content" not in unread


async def test_silence_is_no_answer(tmp_path: Path) -> None:
    async with NastyServer((open_stream(), stall())) as server:
        made = configured(upstream(server.url, timeout={"first_token": "100ms"}), logging=logging(tmp_path))
        made |= {"server": {"sse_keepalive": "10ms"}, "policy": {"retry": {"max_attempts": 1}}}
        async with running(made, tmp_path) as gateway, gateway.chat(messages=PROMPT, stream=True) as response:
            said = await response.read()
    assert said.startswith(b": keepalive") and b'"error"' in said
    assert contents(tmp_path)[0]["answer"] is None


async def test_keys_are_masked(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    fake_openai.keys.add(PROVIDER_KEY)
    sections = {
        "llm_providers": [openai(fake_openai.url), openai(fake_openai.url, id="b", api_keys=[PROVIDER_KEY])],
        "api_keys": [{"id": "one", "key": CLIENT_KEY}],
    }
    text = f"with {PROVIDER_KEY}, {CLIENT_KEY}\nand sk-canary-of-nobody"
    async with serving(fake_openai.url, tmp_path, **sections) as gateway:
        gateway = gateway.of(CLIENT_KEY)
        for ask in (gateway.ask, gateway.stream):
            status, _, _ = await ask(model="up:gpt-4o", messages=[{"role": "user", "content": text}])
            assert status == 200
    for content in contents(tmp_path):
        assert "canary" not in str(content)
        assert content["request"]["messages"][0]["content"].startswith(
            "with [removed], [removed]\nand sk-***"
        )


async def test_it_is_switched_by_a_reload(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    async with serving(fake_openai.url, tmp_path) as gateway:
        for on in (False, True):
            await gateway.reload(logging=logging(tmp_path, content=on))
            assert (await gateway.ask(**CHAT))[0] == 200
    off, on_again = lines(tmp_path)
    assert "content" not in off
    assert CANARY in str(on_again["content"])
    told = [orjson.loads(line) for line in (tmp_path / "coo.log").read_bytes().splitlines()]
    warned = [line for line in told if line["message"].startswith("logging.content: prompts and answers are")]
    assert [line["level"] for line in warned] == ["warning"] * 2
    assert str(tmp_path / "coo.log") in warned[0]["message"]


async def test_the_playground_keeps_its_word(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    async with (
        serving(fake_openai.url, tmp_path, server={"admin_api_key": ADMIN_KEY}) as gateway,
        browsing(gateway) as browser,
    ):
        await browser.log_in()
        page = await browser.get("/ui/playground")
        form = {"csrf": page.csrf, "client": "one", "model": "gpt-4o", "message": CANARY}
        assert CANARY in (await browser.post("/ui/playground", form)).text
    assert lines(tmp_path)
    assert CANARY not in (tmp_path / "coo.log").read_text()


@pytest.mark.parametrize("on", [False, True])
async def test_a_prompt_is_nowhere_else(on: bool, fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    """Beside the request log there are the journal, the database, operational lines, admin API, metrics."""
    receiver = Receiver()
    async with receiver.server() as hook:
        sinks = [{"name": "ops", "type": "webhook", "endpoint": str(hook.make_url("/hook"))}]
        made = config(
            fake_openai.url,
            tmp_path,
            server={"admin_api_key": ADMIN_KEY},
            logging=logging(tmp_path, content=on, providers=sinks, level="debug"),
        )
        headers = {"authorization": f"Bearer {KEY}"}
        async with Daemon(made, tmp_path) as daemon, aiohttp.ClientSession(headers=headers) as session:
            for stream in (False, True):
                async with session.post(
                    f"{daemon.url}/v1/chat/completions", json={**CHAT, "stream": stream}
                ) as response:
                    assert response.status == 200
                    await response.read()
            scraped = await _scraped(daemon.url)
            meanwhile = _elsewhere(tmp_path)
    assert CANARY not in scraped
    assert any("journal" in path.parts for path in meanwhile)
    for path, data in (*meanwhile.items(), *_elsewhere(tmp_path).items()):
        assert CANARY.encode() not in data, path
    log = tmp_path / "coo.log"
    others = [line for line in log.read_text().splitlines() if '"message":"request"' not in line]
    assert CANARY not in "".join(others)
    delivered = b"".join(receiver.bodies).decode()
    for text in (log.read_text(), delivered):
        assert '"message":"request"' in text
        assert (CANARY in text) == on


def _elsewhere(folder: Path) -> dict[Path, bytes]:
    """All that the gateway has written but for its log."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != "coo.log"]
    assert {"coo-llm.db", "stderr.log"} <= {path.name for path in paths}
    return {path: path.read_bytes() for path in paths}


async def _scraped(url: str) -> str:
    """What is to be had of two requests over HTTP."""
    texts = []
    async with aiohttp.ClientSession(headers={"authorization": f"Bearer {ADMIN_KEY}"}) as session:
        async with session.get(f"{url}/metrics") as response:
            texts.append(await response.text())
        for _ in range(200):
            async with session.get(f"{url}/admin/v1/requests") as response:
                text = await response.text()
            if text.count('"request_id"') >= 2:
                return "".join([*texts, text])
            await asyncio.sleep(0.01)
    raise AssertionError("the records did not arrive")
