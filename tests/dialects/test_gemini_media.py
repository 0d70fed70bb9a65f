"""Images, audio and files."""

from typing import Any

import pytest

from gateway.api import Unsupported
from gateway.dialects import gemini_media


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("data:image/webp;base64,AAAA", {"inlineData": {"mimeType": "image/webp", "data": "AAAA"}}),
        ("data:image/JPG;base64,AAAA", {"inlineData": {"mimeType": "image/jpeg", "data": "AAAA"}}),
        ("data:;base64,AAAA", {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
        ("DATA:text/plain,a%20b", {"inlineData": {"mimeType": "text/plain", "data": "YSBi"}}),
        (
            "https://x.example/a.JPG?w=1.png#f",
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://x.example/a.JPG?w=1.png#f"}},
        ),
        ("http://169.254.169.254/", {"fileData": {"fileUri": "http://169.254.169.254/"}}),
        ("gs://bucket/a", {"fileData": {"fileUri": "gs://bucket/a"}}),
    ],
)
def test_an_image_is_inlined_or_passed_on_by_address(url: str, expected: dict[str, Any]) -> None:
    assert gemini_media.image({"type": "image_url", "image_url": {"url": url}}) == expected


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "data:image/png;base64,", "data:x", "", None, 5, [], {}]
)
def test_other_addresses_are_refused(url: Any) -> None:
    with pytest.raises(Unsupported):
        gemini_media.image({"image_url": {"url": url}})
    with pytest.raises(Unsupported):
        gemini_media.file({"file": {"file_url": url}})


@pytest.mark.parametrize(
    ("suffix", "kind"), [("wav", "audio/wav"), ("mp3", "audio/mp3"), ("pcm16", "audio/pcm16")]
)
def test_audio_is_inlined(suffix: str, kind: str) -> None:
    part = gemini_media.audio({"input_audio": {"data": "UklG", "format": suffix}})
    assert part == {"inlineData": {"mimeType": kind, "data": "UklG"}}


@pytest.mark.parametrize("holder", [None, 1, {}, {"data": ""}, {"data": 5}])
def test_audio_without_data_is_refused(holder: Any) -> None:
    with pytest.raises(Unsupported):
        gemini_media.audio({"input_audio": holder})


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ({"file_data": "JVBERi0="}, {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}}),
        (
            {"file_data": "bmFtZQ==", "filename": "a.csv"},
            {"inlineData": {"mimeType": "text/csv", "data": "bmFtZQ=="}},
        ),
        (
            {"file_data": "data:application/pdf;base64,JVBERi0="},
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}},
        ),
        (
            {"file_url": "https://x.example/a.pdf"},
            {"fileData": {"mimeType": "application/pdf", "fileUri": "https://x.example/a.pdf"}},
        ),
    ],
)
def test_a_file(file: dict[str, Any], expected: dict[str, Any]) -> None:
    assert gemini_media.file({"type": "file", "file": file}) == expected


@pytest.mark.parametrize("file", [{"file_id": "file-abc"}, {}, None, {"file_data": 5}])
def test_a_file_that_gemini_cannot_have_is_refused(file: Any) -> None:
    with pytest.raises(Unsupported):
        gemini_media.file({"file": file})
