"""The request log where it ends up: in files, on standard output and at webhooks; and what is never in it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from tests.daemon.running import HELLO, KEY, Gateway, configured, openai, running
from tests.fakes.daemon import Daemon
from tests.fakes.openai import FakeOpenAI
from tests.fakes.upstream import Fault
from tests.sinks.receiver import Receiver

ECHO = {"id": "up", "type": "echo", "model": "m"}
DOCUMENTED = Path(__file__).parents[2] / "docs" / "logs.rst"
CANARIES = {
    "prompt": "canary-prompt-7f3a",
    "system": "canary-system-7f3a",
    "tool": "canary-tool-7f3a",
    "argument": "canary-argument-7f3a",
    "key": "canary-provider-key-7f3a",
    "hook": "canary-hook-secret-7f3a",
}


def logging(folder: Path, *sinks: dict[str, Any], **file: Any) -> dict[str, Any]:
    return {
        "file": {"path": str(folder / "log" / "coo.log"), **file},
        "audit": {"enabled": False},
        "providers": sinks,
    }


def requests_in(data: bytes) -> list[Any]:
    """The request lines of a log, every line of which must be JSON."""
    lines = [orjson.loads(line) for line in data.splitlines()]
    return [line for line in lines if line["message"] == "request"]


def logged(folder: Path) -> bytes:
    """The whole log, rotated files first."""
    files = sorted(
        (folder / "log").glob("coo.log*"), key=lambda path: int(path.suffix[1:].replace("log", "0"))
    )
    return b"".join(path.read_bytes() for path in reversed(files))


@asynccontextmanager
async def receiving(receiver: Receiver) -> AsyncIterator[str]:
    """A webhook's far end; yields its URL."""
    async with receiver.server() as server:
        yield str(server.make_url("/hook"))


def webhook(url: str, **batch: Any) -> dict[str, Any]:
    return {"name": "ops", "type": "webhook", "endpoint": url, "secret": CANARIES["hook"], "batch": batch}


async def test_a_line_has_every_documented_field(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    section = DOCUMENTED.read_text().split("The usage record\n")[1].split("\nSinks\n")[0]
    names = {
        name
        for line in section.splitlines()
        if line.startswith("``")
        for name in re.findall(r"``(\w+)``", line)
    }
    pricing = {"input_token_cost": 0.0025, "output_token_cost": 0.01}
    config = configured(openai(fake_openai.url, pricing=pricing), logging=logging(tmp_path))
    async with running(config, tmp_path) as gateway:
        fake_openai.script.append(Fault(500))
        await gateway.stream(model="gpt-4o")
        await gateway.ask(model="none")
        records = (await gateway.records(2))[::-1]
    served, refused = requests_in(logged(tmp_path))
    assert set(served) == names | {"level", "message"} == set(refused)
    for line, record in zip((served, refused), records, strict=True):
        values = record.to_json()
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
        assert (line.pop("level"), line.pop("message")) == ("info", "request")
        cost = line.pop("cost_usd")
        assert cost == (None if record.cost_nano_usd is None else record.cost_nano_usd / 1e9)
        values.pop("time")
        assert line == values
    assert [attempt["outcome"] for attempt in served["attempts"]] == ["failed", "ok"]


async def test_rotation_under_load_loses_and_doubles_nothing(tmp_path: Path) -> None:
    config = configured(ECHO, logging=logging(tmp_path, max_size_mb=1, max_backups=9))
    padding = {"model": "up:" + "x" * 200}
    async with running(config, tmp_path) as gateway:
        await asyncio.gather(*[_some(gateway, 200, padding) for _ in range(15)])
        ids = {record.request_id for record in await gateway.records(3000)}
    found = [line["request_id"] for line in requests_in(logged(tmp_path))]
    assert len(found) == len(set(found)) == 3000
    assert set(found) == ids
    sizes = [path.stat().st_size for path in (tmp_path / "log").iterdir()]
    assert len(sizes) >= 2
    assert max(sizes) <= 1024 * 1024 + 64 * 1024


async def _some(gateway: Gateway, count: int, body: dict[str, Any]) -> None:
    for _ in range(count):
        status, _, _ = await gateway.ask(**body)
        assert status == 200


async def test_a_webhook_gets_signed_batches(tmp_path: Path) -> None:
    receiver = Receiver()
    async with receiving(receiver) as url:
        config = configured(ECHO, logging=logging(tmp_path, webhook(url, size=4, interval_seconds=0.05)))
        async with running(config, tmp_path) as gateway:
            await asyncio.gather(*[gateway.ask() for _ in range(10)])
            ids = {record.request_id for record in await gateway.records(10)}
        batches = [orjson.loads(body)["records"] for body in receiver.accepted]
    assert all(1 <= len(batch) <= 4 for batch in batches)
    lines = [line for batch in batches for line in batch]
    assert {line["request_id"] for line in lines} == ids
    assert len(lines) == 10
    assert {line["message"] for line in lines} == {"request"}
    for body, headers in zip(receiver.bodies, receiver.headers, strict=True):
        signed = headers["x-coo-timestamp"].encode() + b"." + body
        expected = hmac.new(CANARIES["hook"].encode(), signed, hashlib.sha256).hexdigest()
        assert headers["x-coo-signature"] == f"sha256={expected}"
        assert abs(int(headers["x-coo-timestamp"]) - records_time(lines)) < 60
    assert len({headers["x-coo-delivery"] for headers in receiver.headers}) == len(batches)


def records_time(lines: list[Any]) -> float:
    return datetime.fromisoformat(lines[0]["time"]).timestamp()


async def test_a_webhook_that_hangs_slows_no_request(tmp_path: Path) -> None:
    hanging = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        await hanging.wait()
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", hang)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        config = configured(ECHO, logging=logging(tmp_path, webhook(url, enabled=False)))
        async with running(config, tmp_path) as gateway:
            async with asyncio.timeout(5):
                await asyncio.gather(*[_some(gateway, 10, {}) for _ in range(10)])
            records = await gateway.records(100)
            assert max(record.overhead_ms for record in records) < 2000
            hanging.set()
    finally:
        await runner.cleanup()
    assert len(requests_in(logged(tmp_path))) == 100


async def test_a_webhook_that_refuses_has_its_drops_counted(tmp_path: Path) -> None:
    receiver = Receiver(status=400)
    async with receiving(receiver) as url:
        config = configured(ECHO, logging=logging(tmp_path, webhook(url, size=5, interval_seconds=0.01)))
        async with running(config, tmp_path) as gateway:
            await asyncio.gather(*[gateway.ask() for _ in range(7)])
            dropped = 0.0
            for _ in range(200):
                dropped = (await gateway.samples()).sum("sink_dropped_total", sink="ops")
                if dropped == 7:
                    break
                await asyncio.sleep(0.01)
            assert dropped == 7
            assert (await gateway.samples()).sum("sink_dropped_total", sink="file") == 0
    lines = [orjson.loads(line) for line in logged(tmp_path).splitlines()]
    (warning,) = [line for line in lines if line["message"] == "log sink failed; its lines are dropped"]
    assert (warning["level"], warning["sink"]) == ("warning", "ops")


async def test_standard_output(tmp_path: Path) -> None:
    config = {
        **configured(ECHO),
        "logging": {
            "file": {"enabled": False},
            "audit": {"enabled": False},
            "providers": [{"name": "out", "type": "stdout"}],
        },
    }
    out = tmp_path / "stdout.log"
    wrapper = ("sh", "-c", f'exec "$0" "$@" > {out}')
    body = {"model": "m", "messages": HELLO}
    headers = {"authorization": f"Bearer {KEY}"}
    async with Daemon(config, tmp_path, wrapper=wrapper) as daemon, aiohttp.ClientSession() as session:
        for _ in range(3):
            async with session.post(
                daemon.url + "/v1/chat/completions", json=body, headers=headers
            ) as response:
                assert response.status == 200
    lines = requests_in(out.read_bytes())
    assert [line["status"] for line in lines] == [200] * 3
    assert {line["request_id"] for line in requests_in(daemon.stderr_path.read_bytes())} == {
        line["request_id"] for line in lines
    }


async def test_prompts_answers_and_keys_are_in_no_sink(
    fake_openai: FakeOpenAI, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fake_openai.keys.add(CANARIES["key"])
    receiver = Receiver()
    tool = {
        "type": "function",
        "function": {
            "name": CANARIES["tool"],
            "parameters": {
                "type": "object",
                "properties": {CANARIES["argument"]: {"type": "string", "enum": [CANARIES["argument"]]}},
                "required": [CANARIES["argument"]],
            },
        },
    }
    messages = [
        {"role": "system", "content": CANARIES["system"]},
        {"role": "user", "content": f"use tool {CANARIES['prompt']}"},
    ]
    async with receiving(receiver) as url:
        sinks = [webhook(url, interval_seconds=0.01), {"name": "out", "type": "stdout"}]
        config = configured(
            openai(fake_openai.url, api_keys=[CANARIES["key"]]),
            {"id": "echo", "type": "echo", "model": "m"},
            logging={**logging(tmp_path, *sinks), "level": "debug"},
        )
        async with running(config, tmp_path) as gateway:
            for body in ({"tools": [tool]}, {}, {"temperature": CANARIES["prompt"]}):
                await gateway.ask(model="gpt-4o", messages=messages, **body)
                await gateway.stream(model="gpt-4o", messages=messages, **body)
                await gateway.ask(model="m", messages=messages, **body)
            for status in (400, 401, 429, 500):
                said = f"you said {CANARIES['prompt']} with {CANARIES['key']}"
                fake_openai.script.append(Fault(status, said))
                _, answer, _ = await gateway.ask(model="gpt-4o", messages=messages)
                assert CANARIES["key"] not in str(answer)
            async with gateway.session.post(
                gateway.url + "/v1/chat/completions",
                data=b'{"model": "' + CANARIES["prompt"].encode(),
                headers=gateway.headers,
            ) as response:
                assert response.status == 400
                assert CANARIES["prompt"] not in await response.text()
            await gateway.records(14)
            async with gateway.session.get(gateway.url + "/metrics") as response:
                scraped = await response.text()
    captured = capfd.readouterr()
    everything = {
        "file": logged(tmp_path).decode(),
        "webhook": b"".join(receiver.bodies).decode(),
        "output": captured.out + captured.err,
        "metrics": scraped,
    }
    for whole in ("file", "output"):
        assert '"message":"request"' in everything[whole]
    assert receiver.bodies
    for place, text in everything.items():
        for canary in (*CANARIES.values(), KEY):
            assert canary not in text, place
