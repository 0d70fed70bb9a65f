"""Transcriptions and translations: forms passed on, by OpenAI's SDK and by clients that misbehave."""

from __future__ import annotations

import asyncio
import errno
import io
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from openai import AsyncOpenAI, InternalServerError

from gateway.request.form import Form
from tests.daemon.faulty import at_rest, outcomes, raw_client, reported, until
from tests.daemon.running import KEY, Gateway, configured, running
from tests.daemon.test_content import contents, logging
from tests.daemon.test_faults_memory import MIB, resident
from tests.daemon.test_passed import provider
from tests.fakes.daemon import Daemon
from tests.fakes.media import FakeMedia, describe
from tests.fakes.multipart import parts_of
from tests.fakes.upstream import Fault

FILE = bytes(range(256)) * 16 * 1024 + b"\r\n--"
"""Four MiB, and an end that looks like a delimiter."""
MODELS = ["whisper-1", "gpt-4o-transcribe"]


@pytest.fixture
async def fake() -> AsyncIterator[FakeMedia]:
    async with FakeMedia(keys=("good-key", "second-key")) as fake:
        yield fake


@pytest.fixture
async def gateway(fake: FakeMedia, tmp_path: Path) -> AsyncIterator[Gateway]:
    config = configured(
        provider(fake, models=MODELS),
        model_aliases={"ears": ["up:gpt-4o-transcribe"]},
        server={"max_upload_mb": 5},
    )
    async with running(config, tmp_path) as gateway:
        yield gateway


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


async def test_a_transcription(client: AsyncOpenAI, fake: FakeMedia, gateway: Gateway) -> None:
    answer = await client.audio.transcriptions.create(
        model="ears", file=("späch.wav", FILE, "audio/wav"), language="de", temperature=0.5
    )
    assert answer.text == f"transcriptions: {describe(FILE)}"
    assert answer.usage is not None and answer.usage.type == "tokens"
    cost = (20 * 1 + 5 * 2) * 10**-6
    assert (answer.usage.model_extra or {}) == {"cost": pytest.approx(cost)}
    sent = fake.requests[-1]
    parts = {part.name: part for part in parts_of(sent.headers["content-type"], sent.body)}
    assert parts["model"].content == b"gpt-4o-transcribe"
    assert (parts["language"].content, parts["temperature"].content) == (b"de", b"0.5")
    assert b"Content-Type: audio/wav" in parts["file"].head
    (record,) = await gateway.records(1)
    assert (record.operation, record.alias, record.model) == ("transcriptions", "ears", "gpt-4o-transcribe")
    assert (record.input_tokens, record.output_tokens, record.estimated) == (20, 5, False)
    assert record.cost_nano_usd == round(cost * 10**9)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the SDK's, of an overload
async def test_a_translation_without_token_figures(client: AsyncOpenAI, gateway: Gateway) -> None:
    answer = await client.audio.translations.create(model="whisper-1", file=("a.wav", FILE))
    assert answer.text == f"translations: {describe(FILE)}"
    (record,) = await gateway.records(1)
    assert (record.operation, record.estimated, record.cost_nano_usd) == ("translations", True, None)


async def test_a_price_by_the_minute(fake: FakeMedia, tmp_path: Path) -> None:
    """Where the answer does not say how long the sound was, a budget pays for the longest it can be."""
    config = configured(provider(fake, models=["whisper-1"], pricing={"audio_minute_cost": 0.006}))
    config["api_keys"] = [{"id": "one", "key": KEY, "budget": {"usd": 1}}]
    async with (
        running(config, tmp_path) as gateway,
        AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0) as client,
    ):
        await client.audio.transcriptions.create(model="whisper-1", file=("a.wav", FILE))
        answers: Any = client.audio.transcriptions
        await answers.create(model="whisper-1", file=("a.wav", FILE), response_format="srt")
        unsaid, said = await gateway.records(2)
        assert (said.units, said.cost_nano_usd) == ({"audio_seconds": 3}, 300_000)
        assert (unsaid.units, unsaid.cost_nano_usd) == (None, None)


async def test_text_comes_as_text(client: AsyncOpenAI) -> None:
    answers = client.audio.transcriptions.with_raw_response
    answer = await answers.create(model="whisper-1", file=("a.wav", FILE), response_format="srt")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.content.decode() == f"{describe(FILE)}\n"


async def test_a_stream(client: AsyncOpenAI, gateway: Gateway) -> None:
    stream = await client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=("a.wav", FILE), stream=True
    )
    events = [event async for event in stream]
    assert [event.type for event in events][-2:] == ["transcript.text.delta", "transcript.text.done"]
    assert events[-1].type == "transcript.text.done"
    assert events[-1].text == f"transcriptions: {describe(FILE)}"
    (record,) = await gateway.records(1)
    assert (record.stream, record.input_tokens, record.output_tokens) == (True, 20, 5)


async def test_a_model_that_does_not_stream(gateway: Gateway) -> None:
    form = aiohttp.FormData({"model": "whisper-1", "stream": "true"})
    form.add_field("file", io.BytesIO(FILE), filename="a.wav")
    async with gateway.session.post(
        f"{gateway.url}/v1/audio/transcriptions", data=form, headers=gateway.headers
    ) as response:
        assert response.content_type == "application/json"
        assert (await response.json())["text"] == f"transcriptions: {describe(FILE)}"


async def test_another_key_gets_the_whole_upload_again(
    client: AsyncOpenAI, fake: FakeMedia, gateway: Gateway
) -> None:
    fake.script.append(Fault(429))
    answer = await client.audio.transcriptions.create(model="whisper-1", file=("a.wav", FILE))
    assert answer.text == f"transcriptions: {describe(FILE)}"
    (record,) = await gateway.records(1)
    assert outcomes(record) == ["limited", "ok"]
    assert fake.requests[0].body == fake.requests[1].body


async def test_an_upload_beyond_the_limit(gateway: Gateway, fake: FakeMedia) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(8):
            yield bytes(MIB)

    url = f"{gateway.url}/v1/audio/transcriptions"
    headers = {**gateway.headers, "content-type": "multipart/form-data; boundary=b"}
    for body in (endless(), io.BytesIO(bytes(6 * MIB))):  # found out on the way, and said beforehand
        async with gateway.session.post(url, data=body, headers=headers) as response:
            assert response.status == 413
            error = (await response.json())["error"]
            assert (error["code"], "5 MiB" in error["message"]) == ("request_too_large", True)
    assert fake.requests == []
    await at_rest(gateway)


@pytest.mark.parametrize(
    ("form", "status", "code", "param"),
    [
        ({"file": "x"}, 400, "missing_required_parameter", "model"),
        ({"model": "whisper-1"}, 400, "missing_required_parameter", "file"),
        ({"file": "x", "model": ""}, 400, "invalid_value", "model"),
        ({"file": "x", "model": "nobody"}, 404, "model_not_found", "model"),
        ({"file": "x", "model": "whisper-1", "stream": "perhaps"}, 400, "invalid_value", "stream"),
        ({"file": "x", "model": "whisper-1", "base_url": "u"}, 400, "unsupported_parameter", "base_url"),
    ],
)
async def test_forms_that_no_provider_could_accept(
    gateway: Gateway, fake: FakeMedia, form: dict[str, str], status: int, code: str, param: str
) -> None:
    url = f"{gateway.url}/api/v1/audio/transcriptions"
    data = aiohttp.FormData(form, default_to_multipart=True)
    async with gateway.session.post(url, data=data, headers=gateway.headers) as response:
        error = (await response.json())["error"]
    assert (response.status, error["code"], error["param"]) == (status, code, param)
    assert fake.requests == []


async def test_json_where_a_form_is_wanted(gateway: Gateway) -> None:
    url = f"{gateway.url}/v1/audio/transcriptions"
    async with gateway.session.post(url, json={"model": "m"}, headers=gateway.headers) as response:
        assert response.status == 415
        assert "multipart/form-data" in (await response.json())["error"]["message"]


@pytest.mark.parametrize(
    ("content_type", "status"), [("multipart/form-data; boundary=b", 200), ("application/json", 415)]
)
async def test_a_client_that_waits_to_be_asked_for_its_upload(
    gateway: Gateway, content_type: str, status: int
) -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nRIFF\r\n--b--\r\n'
    )
    head = (
        f"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    async with raw_client(gateway) as client:
        client.writer.write(head.encode())
        first = await client.reader.readuntil(b"\r\n\r\n")
        assert first.split()[1] == (b"100" if status == 200 else b"415")
        if status == 200:
            client.writer.write(body)
            assert (await client.answer())[1]["text"] == f"transcriptions: {describe(b'RIFF')}"


async def test_what_the_request_log_has_of_it(fake: FakeMedia, tmp_path: Path) -> None:
    config = configured(provider(fake, models=[*MODELS, "gpt-4o-mini-tts"]), logging=logging(tmp_path))
    async with running(config, tmp_path) as gateway:
        form = aiohttp.FormData({"model": "whisper-1", "prompt": "p"})
        form.add_field("file", io.BytesIO(FILE), filename="a.wav")
        url = f"{gateway.url}/v1/audio"
        async with gateway.session.post(f"{url}/transcriptions", data=form, headers=gateway.headers) as heard:
            assert heard.status == 200
        asked = {"model": "gpt-4o-mini-tts", "input": "Hello", "voice": "a"}
        async with gateway.session.post(f"{url}/speech", json=asked, headers=gateway.headers) as said:
            assert await said.read()
    transcription, speech = contents(tmp_path)
    assert transcription["request"] == {"model": "whisper-1"}
    assert transcription["answer"]["text"] == f"transcriptions: {describe(FILE)}"
    assert speech == {"request": asked, "answer": None}


async def test_a_full_disk(
    gateway: Gateway, client: AsyncOpenAI, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def full(form: Form, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Form, "write", full)
        with pytest.raises(InternalServerError) as refused:
            await client.audio.transcriptions.create(model="ears", file=("a.wav", FILE))
    assert (refused.value.status_code, refused.value.code) == (503, "overloaded")
    (line,) = [record for record in caplog.records if record.message == "an upload cannot be kept"]
    assert line.exc_info is None
    assert (await client.audio.transcriptions.create(model="ears", file=("a.wav", FILE))).text


@pytest.mark.parametrize("reset", [False, True])
async def test_leaving_during_the_upload(gateway: Gateway, fake: FakeMedia, reset: bool) -> None:
    head = (
        f"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {KEY}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 4000000\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    )
    async with raw_client(gateway) as client:
        client.writer.write(head.encode() + bytes(2 * MIB))
        await client.writer.drain()
        await until(lambda: gateway.live.in_flight)
        client.leave(reset=reset)
    record = await reported(gateway)
    assert (record.status, record.error, record.attempts) == (499, "client_closed_request", [])
    await at_rest(gateway)
    assert fake.requests == []


async def test_a_large_upload_does_not_go_through_memory(tmp_path: Path) -> None:
    size = 150 * MIB
    got: list[int] = []

    async def hear(request: web.Request) -> web.Response:
        count = 0
        async for piece in request.content.iter_any():
            count += len(piece)
        got.append(count)
        return web.json_response({"text": "long"})

    async def large() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(size // MIB):
            yield os.urandom(64) * (MIB // 64)
        yield b'\r\n--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--b--\r\n'

    app = web.Application()
    app.router.add_post("/v1/audio/transcriptions", hear)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    up: dict[str, Any] = {"id": "up", "type": "openai", "api_keys": ["k"], "models": MODELS}
    up["base_url"] = f"http://127.0.0.1:{runner.addresses[0][1]}"
    quiet = {"file": {"enabled": False}, "audit": {"enabled": False}}
    async with Daemon(configured(up, logging=quiet), tmp_path) as daemon, aiohttp.ClientSession() as session:
        before = resident(daemon)
        most = before

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, resident(daemon))
                await asyncio.sleep(0.02)

        watching = asyncio.create_task(watch())
        headers = {"authorization": f"Bearer {KEY}", "content-type": "multipart/form-data; boundary=b"}
        url = f"{daemon.url}/v1/audio/transcriptions"
        async with session.post(url, data=large(), headers=headers) as response:
            assert response.status == 200, await response.text()
        watching.cancel()
    await runner.cleanup()
    assert got[0] > size
    assert most < before + 40 * MIB
