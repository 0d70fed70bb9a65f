"""Images, audio and files of an OpenAI message as Gemini parts.

Nothing is fetched: what is given by address is passed on by address, for Gemini to fetch or refuse.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import unquote_to_bytes

from gateway.api import Unsupported

Json = dict[str, Any]

_ALSO = {"image/jpg": "image/jpeg"}
"""A common name of a type that is none."""
_SCHEMES = ("https://", "http://", "gs://")
_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "wav": "audio/wav",
    "mp3": "audio/mp3",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "aac": "audio/aac",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
}


def image(part: Json) -> Json:
    """An ``image_url`` part."""
    holder = part.get("image_url")
    return _located(holder.get("url") if isinstance(holder, dict) else holder, "image/png")


def audio(part: Json) -> Json:
    """An ``input_audio`` part: base64 with a format."""
    holder = part.get("input_audio")
    if not isinstance(holder, dict) or not isinstance(data := holder.get("data"), str) or not data:
        raise Unsupported("messages", "input_audio without data")
    suffix = holder.get("format")
    return _inline(_TYPES.get(suffix, f"audio/{suffix}") if isinstance(suffix, str) else "audio/wav", data)


def file(part: Json) -> Json:
    """A ``file`` part: a data URL, plain base64 or an address; an OpenAI file id means nothing here."""
    holder = part.get("file")
    if not isinstance(holder, dict):
        raise Unsupported("messages", "a file part without file")
    data = holder.get("file_data")
    name = holder.get("filename")
    kind = (_guess(name) if isinstance(name, str) else None) or "application/pdf"
    if isinstance(data, str) and data and ":" not in data[:8]:
        return _inline(kind, data)
    return _located(data or holder.get("file_url") or holder.get("file_id"), kind)


def _located(url: Any, default: str) -> Json:
    """What an address stands for: the bytes of a data URL, else a reference."""
    if not isinstance(url, str):
        raise Unsupported("messages", "a media part without an address")
    if url[:5].lower() == "data:":
        head, comma, data = url[5:].partition(",")
        kind, *options = head.split(";")
        if not comma or not data:
            raise Unsupported("messages", "an empty data URL")
        if "base64" not in options:
            data = b64encode(unquote_to_bytes(data)).decode()
        return _inline(_ALSO.get(kind.lower(), kind) or default, data)
    if not url.lower().startswith(_SCHEMES):
        raise Unsupported("messages", "media must be given as a data, http(s) or gs URL")
    reference = {"fileUri": url}
    if guessed := _guess(url.partition("?")[0].partition("#")[0]):
        reference["mimeType"] = guessed
    return {"fileData": reference}


def _inline(kind: str, data: str) -> Json:
    return {"inlineData": {"mimeType": kind, "data": data}}


def _guess(name: str) -> str | None:
    return _TYPES.get(name.rpartition(".")[2].lower())
