"""What an action has to say on the page that follows it: in a cookie that this session alone can make and
read, so that any process can show it, and nobody a second time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass
from typing import Literal

import orjson
from aiohttp import web
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.admin.login import COOKIE

FLASH_COOKIE = "coo_llm_flash"
_SHOWN_WITHIN = 60
"""Seconds until it is forgotten by a browser that never came to show it."""
_MAX_TEXT = 500
"""Characters: a cookie holds 4 KB."""
_NONCE = 12

Kind = Literal["done", "failed"]


@dataclass(frozen=True, slots=True)
class Flash:
    """A message that is shown once."""

    kind: Kind
    text: str
    secret: str = ""
    """A key that was made and is in no other answer: to be taken along."""


def see_other(
    request: web.Request, url: str, text: str = "", kind: Kind = "done", secret: str = ""
) -> web.Response:
    """Go on at ``url``, a path of ours, and read ``text`` there. The answer to every form."""
    response = web.Response(status=303, headers={"location": url})
    if text:
        response.set_cookie(
            FLASH_COOKIE,
            _seal(request, orjson.dumps([kind, text[:_MAX_TEXT], secret])),
            path="/ui",
            max_age=_SHOWN_WITHIN,
            httponly=True,
            samesite="Strict",
        )
    return response


def read_flash(request: web.Request) -> Flash | None:
    """What the request has to show, if it comes from us."""
    sealed = request.cookies.get(FLASH_COOKIE, "")
    try:
        data = base64.urlsafe_b64decode(sealed)
        kind, text, secret = orjson.loads(_cipher(request).decrypt(data[:_NONCE], data[_NONCE:], None))
    except (binascii.Error, ValueError, InvalidTag):
        return None
    return Flash(kind, text, secret)


def forget_flash(request: web.Request, response: web.Response) -> None:
    """It has been shown."""
    if FLASH_COOKIE in request.cookies:
        response.del_cookie(FLASH_COOKIE, path="/ui", httponly=True, samesite="Strict")


def _seal(request: web.Request, data: bytes) -> str:
    nonce = os.urandom(_NONCE)
    return base64.urlsafe_b64encode(nonce + _cipher(request).encrypt(nonce, data, None)).decode()


def _cipher(request: web.Request) -> AESGCM:
    token = request.cookies.get(COOKIE, "")
    return AESGCM(hashlib.sha256(f"flash {token}".encode("utf-8", "replace")).digest())
