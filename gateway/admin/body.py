"""The body of an admin call: a JSON object that says it is JSON."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from gateway.admin.errors import AdminError
from gateway.api import ApiError
from gateway.request.accept import read_json

MAX_BYTES = 1024 * 1024


async def read_object(request: web.Request, *, optional: bool = False) -> dict[str, Any]:
    """The body. With ``optional`` none at all is an empty one.

    Raises `AdminError`: 415 if its content type is not JSON (which a page of another origin cannot send
    unasked), else the status that the client API has for it.
    """
    if optional and not request.body_exists:
        return {}
    if request.content_type != "application/json":
        raise AdminError(415, "Send the body as JSON, with content-type: application/json.")
    try:
        return (await read_json(request, MAX_BYTES))[0]
    except ApiError as error:
        raise AdminError(error.status, error.message) from None


def only(body: dict[str, Any], *names: str) -> None:
    """Refuse a body that holds anything but ``names``. Raises `AdminError` 400."""
    if unknown := sorted(body.keys() - set(names)):
        raise AdminError(400, f"{unknown[0][:64]!r} is not known here.", details={"known": list(names)})


def text(body: dict[str, Any], name: str, default: str | None = None, *, most: int = 256) -> str:
    """A string in the body; required without a ``default``. Raises `AdminError` 400."""
    value = body.get(name, default)
    if not isinstance(value, str) or not value or len(value) > most:
        raise AdminError(400, f"{name}: must be a string of 1 to {most} characters.")
    return value
