"""What an action has to say on the page that follows it: in a cookie that only this session could have made,
so that any process can show it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Literal

import orjson
from aiohttp import web

from gateway.admin.login import COOKIE

FLASH_COOKIE = "coo_llm_flash"
_SHOWN_WITHIN = 60
"""Seconds until it is forgotten by a browser that never came to show it."""
_MAX_TEXT = 500
"""Characters: a cookie holds 4 KB."""

Kind = Literal["done", "failed"]


@dataclass(frozen=True, slots=True)
class Flash:
    """A message that is shown once."""

    kind: Kind
    text: str


def see_other(request: web.Request, url: str, text: str = "", kind: Kind = "done") -> web.Response:
    """Go on at ``url``, a path of ours, and read ``text`` there. The answer to every form."""
    response = web.Response(status=303, headers={"location": url})
    if text:
        body = base64.urlsafe_b64encode(orjson.dumps([kind, text[:_MAX_TEXT]])).decode()
        response.set_cookie(
            FLASH_COOKIE,
            f"{body}.{_seal(request, body)}",
            path="/ui",
            max_age=_SHOWN_WITHIN,
            httponly=True,
            samesite="Strict",
        )
    return response


def read_flash(request: web.Request) -> Flash | None:
    """What the request has to show, if it comes from us."""
    body, _, seal = request.cookies.get(FLASH_COOKIE, "").partition(".")
    if not body or not hmac.compare_digest(seal.encode("utf-8", "replace"), _seal(request, body).encode()):
        return None
    try:
        kind, text = orjson.loads(base64.urlsafe_b64decode(body))
    except (binascii.Error, ValueError):
        return None
    return Flash(kind, text)


def forget_flash(request: web.Request, response: web.Response) -> None:
    """It has been shown."""
    if FLASH_COOKIE in request.cookies:
        response.del_cookie(FLASH_COOKIE, path="/ui", httponly=True, samesite="Strict")


def _seal(request: web.Request, body: str) -> str:
    token = request.cookies.get(COOKIE, "")
    return hmac.new(
        token.encode("utf-8", "replace"), f"flash {body}".encode("utf-8", "replace"), hashlib.sha256
    ).hexdigest()
