"""The fake behind images, audio, moderations and rankings refuses what the services refuse."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.fakes.media import FakeMedia

FORM = "multipart/form-data; boundary=b"
FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n'
MODEL = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
END = b"--b--\r\n"


@pytest.fixture
async def fake() -> AsyncIterator[FakeMedia]:
    async with FakeMedia() as fake:
        yield fake


async def status(fake: FakeMedia, body: bytes, content_type: str = FORM) -> int:
    headers = {"authorization": "Bearer good-key", "content-type": content_type}
    url = f"{fake.url}/v1/audio/transcriptions"
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as response:
        return response.status


async def test_a_good_form(fake: FakeMedia) -> None:
    assert await status(fake, FILE + MODEL + END) == 200


@pytest.mark.parametrize(
    "body",
    [
        FILE + MODEL,
        FILE + MODEL + END + b"more",
        MODEL + END,
        FILE + END,
        FILE + MODEL + MODEL + END,
        FILE.replace(b"; filename", b"; filenom") + MODEL + END,
        FILE + MODEL.replace(b"model", b"modal") + END,
        b"\r\n" + FILE + MODEL + END,
    ],
)
async def test_a_bad_form(fake: FakeMedia, body: bytes) -> None:
    assert await status(fake, body) == 400


async def test_a_form_without_a_boundary(fake: FakeMedia) -> None:
    assert await status(fake, FILE + MODEL + END, "multipart/form-data") == 400
