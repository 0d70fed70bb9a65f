"""Taking in a multipart form part by part: bounded in size, number and patience, checked as it arrives."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping

from aiohttp import BodyPartReader, MultipartReader, StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDictProxy

from gateway.api import ApiError
from gateway.request.accept import check_coding
from gateway.request.checks import missing
from gateway.request.errors import quoted
from gateway.request.form import PIECE, Form
from gateway.server import Connection

log = logging.getLogger(__name__)

PATIENCE = 60.0
PROGRESS = 256 * 1024
"""So many bytes must come in each ``PATIENCE`` seconds: an upload may take long, but not stand still."""
MAX_PARTS = 64
MAX_FIELD = 1024
"""Bytes of a field that the gateway itself reads."""
READ = frozenset({"model", "stream", "response_format"})
_SINGLE = READ | {"file"}
"""Fields that may come once: of two, gateway and provider might each take another."""

_MALFORMED = (ValueError, AssertionError, LookupError, RuntimeError, RuntimeWarning, HttpProcessingError)
"""What aiohttp's reader raises for what is no multipart body."""
_PARAMETER = re.compile(r';\s*([A-Za-z0-9_-]+\*?)=(?:"((?:[^"\\]|\\.)*)"|([^\s";]+))\s*')


async def receive(request: web.Request, max_bytes: int) -> tuple[Form, dict[str, str]]:
    """The form in the body, to be closed by the caller, and the values of the fields in `READ`.

    Raises `ApiError`: ``unsupported_media_type``, ``request_too_large``, ``request_timeout``,
    ``invalid_request``, ``invalid_value``, ``missing_required_parameter``, or ``overloaded`` where the disk
    is full.
    """
    check_coding(request)
    if request.content_type != "multipart/form-data":
        raise ApiError(
            "unsupported_media_type", "This endpoint takes multipart/form-data, with a 'file' and a 'model'."
        )
    if (request.content_length or 0) > max_bytes:
        raise _too_large(max_bytes)
    assert isinstance(request.protocol, Connection)
    request.protocol.ask_for_body()
    try:
        return await read_form(request.headers, request.content, max_bytes)
    except (ApiError, web.RequestPayloadError, OSError) as exc:
        if request.transport is None:  # gone in the middle of it: the cancellation is on its way
            raise asyncio.CancelledError from exc
        if isinstance(exc, ApiError):
            raise
        if isinstance(exc, OSError):
            log.error("an upload cannot be kept", extra={"error": str(exc)})
            message = "The gateway has no room for this upload at the moment. Try again later."
            raise ApiError("overloaded", message, retry_after=10) from None
        raise ApiError("invalid_request", "The body does not match its coding or length.") from None


async def read_form(
    headers: Mapping[str, str], content: StreamReader, max_bytes: int
) -> tuple[Form, dict[str, str]]:
    """As `receive`, from a body and the headers before it. Raises also what reading it raises."""
    intake = _Intake(content, max_bytes)
    try:
        async with asyncio.timeout(PATIENCE) as intake.patience:
            await intake.read(headers)
        if "file" not in (part.name for part in intake.form.parts):
            raise missing("file")
        if "model" not in intake.fields:
            raise missing("model")
    except BaseException as exc:
        intake.form.close()
        if isinstance(exc, TimeoutError):
            few = f"fewer than {PROGRESS // 1024} KiB came in {PATIENCE:.0f} s"
            raise ApiError("request_timeout", f"The upload stood still: {few}.") from None
        if isinstance(exc, _MALFORMED):
            message = "The body is not valid multipart/form-data: it is cut off or malformed."
            raise ApiError("invalid_request", message) from None
        raise
    return intake.form, intake.fields


class _Intake:
    def __init__(self, content: StreamReader, max_bytes: int) -> None:
        self.form = Form()
        self.fields: dict[str, str] = {}
        self.patience: asyncio.Timeout
        self._content = content
        self._max_bytes = max_bytes
        self._mark = 0
        """Bytes that had come when patience began anew."""

    async def read(self, headers: Mapping[str, str]) -> None:
        reader = MultipartReader(headers, self._content)
        while (part := await reader.next()) is not None:
            if not isinstance(part, BodyPartReader):
                raise ApiError("invalid_request", "A part of the form is multipart itself.")
            await self._read_part(part)
        while await self._content.readany():  # an epilogue, which means nothing
            self._progress()
        await self.form.finish()

    async def _read_part(self, part: BodyPartReader) -> None:
        name = field_name(";".join(part.headers.getall("content-disposition", ())))
        if len(self.form.parts) == MAX_PARTS:
            raise ApiError("invalid_request", f"The form has more than {MAX_PARTS} parts.")
        if name in _SINGLE and any(name == other.name for other in self.form.parts):
            raise ApiError("invalid_value", f"The field {quoted(name)} must come only once.", param=name)
        self.form.add(name, _head(part.headers))
        kept = b""
        while not part.at_eof():
            data = await part.read_chunk(PIECE)
            self._progress()
            await self.form.write(data)
            if name in READ:
                kept += data
                if len(kept) > MAX_FIELD:
                    message = f"The field {quoted(name)} is longer than {MAX_FIELD} bytes."
                    raise ApiError("invalid_value", message, param=name)
        if name in READ:
            self.fields[name] = _text(name, kept)

    def _progress(self) -> None:
        come = self._content.total_bytes
        if come > self._max_bytes:
            raise _too_large(self._max_bytes)
        if come - self._mark >= PROGRESS:
            self._mark = come
            self.patience.reschedule(asyncio.get_running_loop().time() + PATIENCE)


def field_name(disposition: str) -> str:
    """The name in a part's ``Content-Disposition`` (RFC 7578, section 4.2).

    Raises `ApiError` where it has none, or one that another reader might take for a different one.
    """
    kind, semicolon, _ = disposition.partition(";")
    rest = disposition[len(kind) :]
    found = _PARAMETER.findall(rest)
    whole = _PARAMETER.sub("", rest) == ""
    names = [quoted_ or bare for label, quoted_, bare in found if label.lower() == "name"]
    plain = len(names) == 1 and "\\" not in names[0] and all(label.lower() != "name*" for label, *_ in found)
    if kind.strip().lower() != "form-data" or not semicolon or not whole or not plain:
        raise ApiError(
            "invalid_request",
            "A part of the form has no plain Content-Disposition: form-data with one name.",
        )
    return str(names[0])


def _head(headers: CIMultiDictProxy[str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return lines.encode("utf-8", "surrogateescape") + b"\r\n"


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        message = f"The field {quoted(name)} is not UTF-8."
        raise ApiError("invalid_value", message, param=name) from None


def _too_large(max_bytes: int) -> ApiError:
    return ApiError("request_too_large", f"The upload is larger than {max_bytes // 1024 // 1024} MiB.")
