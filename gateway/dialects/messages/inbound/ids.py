"""Ids of tool calls: any provider's as one of Anthropic's alphabet, and back."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from secrets import token_hex

from gateway.dialects.messages.conversation import is_plain

_MARK = "toolu_coo_"


def to_client(given: object) -> str:
    """The id for an Anthropic client: ``given`` itself if that will do. One that is missing is made up."""
    if not isinstance(given, str) or not given:
        return f"toolu_{token_hex(12)}"
    if is_plain(given):
        return given
    return _MARK + urlsafe_b64encode(given.encode()).rstrip(b"=").decode()


def from_client(ident: str) -> str:
    """The id that `to_client` was given."""
    packed = ident.removeprefix(_MARK)
    if packed == ident:
        return ident
    try:
        given = urlsafe_b64decode(packed + "=" * (-len(packed) % 4)).decode()
    except ValueError:
        return ident
    return given if to_client(given) == ident else ident  # some id may only look like one of ours
