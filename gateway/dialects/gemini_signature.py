"""Thought signatures: how they reach an OpenAI client and come back, byte for byte.

Gemini 3 and later refuse a function call of the current turn that returns without the signature it
was made with. A client gets it twice: as ``extra_content.google.thought_signature`` (the form of
Google's own OpenAI endpoint), and inside the tool call's id, since many clients keep only that.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

SKIP = "skip_thought_signature_validator"
"""Google's documented stand-in for the signature of a call that Gemini did not make."""
_SEPARATOR = "__thought__"


def pack(call_id: str, signature: str) -> str:
    """An id that holds both; its characters are those that every provider takes in an id."""
    packed = urlsafe_b64encode(signature.encode()).rstrip(b"=").decode()
    return f"{call_id}{_SEPARATOR}{packed}"


def unpack(packed_id: str) -> tuple[str, str | None]:
    """Reverse `pack`; an id that it did not make is returned as it is, without a signature."""
    call_id, separator, packed = packed_id.rpartition(_SEPARATOR)
    if not separator:
        return packed_id, None
    try:
        return call_id, urlsafe_b64decode(packed + "=" * (-len(packed) % 4)).decode()
    except ValueError:
        return packed_id, None


def extra_content(signature: str) -> dict[str, Any]:
    """The ``extra_content`` of a message or tool call that has ``signature``."""
    return {"google": {"thought_signature": signature}}


def carried(holder: dict[str, Any]) -> str | None:
    """The signature in the ``extra_content`` of a message or tool call."""
    extra = holder.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) and signature else None
