"""Parts as blocks."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api import Unsupported
from gateway.dialects.messages.parts import Marks, blocks


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def convert(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return blocks(list(parts), Marks(), {})


def test_images() -> None:
    png = "iVBORw0KGgoAAAA="
    sent = {"type": "base64", "media_type": "image/png", "data": png}
    assert convert(image(f"data:image/png;base64,{png}")) == [{"type": "image", "source": sent}]
    assert convert(image(f"data:image/jpeg;base64,{png}"))[0]["source"] == sent, (
        "the bytes tell, not the name"
    )
    assert convert(image("data:image/jpg;base64,AAAA"))[0]["source"]["media_type"] == "image/jpeg"
    assert convert(image("https://example.com/a.png"))[0]["source"] == {
        "type": "url",
        "url": "https://example.com/a.png",
    }


def test_files() -> None:
    for data in ("data:application/pdf;base64,JVBERi0xLjQ=", "JVBERi0xLjQ="):
        (block,) = convert({"type": "file", "file": {"filename": "a.pdf", "file_data": data}})
        source = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQ="}
        assert block == {"type": "document", "source": source, "title": "a.pdf"}
    (block,) = convert({"type": "file", "file": {"file_data": "https://example.com/a.pdf"}})
    assert block == {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}}


def test_detail_is_lost_and_named() -> None:
    dropped: dict[str, None] = {}
    part = {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}}
    blocks([part], Marks(), dropped)
    assert list(dropped) == ["detail"]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        image("data:image/svg+xml;base64,AAAA"),
        image("data:image/png,raw"),
        image("file:///etc/passwd"),
        {"type": "hologram"},
    ],
)
def test_without_equivalent(part: dict[str, Any]) -> None:
    with pytest.raises(Unsupported):
        convert(part)
