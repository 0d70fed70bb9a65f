"""Thought signatures: how they reach an OpenAI client and come back, byte for byte.

Gemini 3 and later refuse a function call of the current turn that returns without the signature it
was made with, and one that another model made. A client gets it twice: as
``extra_content.google.thought_signature`` (the form of Google's own OpenAI endpoint), and inside the
tool call's id together with a mark of its model, since many clients keep only that.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from hashlib import blake2b
from typing import Any

SKIP = "skip_thought_signature_validator"
"""Google's documented stand-in for the signature of a call that Gemini did not make."""
_SEPARATOR = "__thought__"
_MARK_LENGTH = 8


def pack(call_id: str, signature: str, model: str) -> str:
    """An id that holds all three; its characters are those that every provider takes in an id."""
    packed = urlsafe_b64encode(signature.encode()).rstrip(b"=").decode()
    return f"{call_id}{_SEPARATOR}{_mark(model)}{packed}"


def unpack(packed_id: str, model: str) -> tuple[str, str | None]:
    """The call's own id, and the signature unless another model than ``model`` made it.

    An id that `pack` did not make is returned as it is, without a signature.
    """
    call_id, separator, packed = packed_id.rpartition(_SEPARATOR)
    if not separator or len(packed) <= _MARK_LENGTH:
        return packed_id, None
    text = packed[_MARK_LENGTH:]
    try:
        signature = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        return packed_id, None
    return call_id, signature if packed.startswith(_mark(model)) else None


def bare_id(packed_id: str) -> str:
    """The call's own id: what any other provider is to see of it."""
    return unpack(packed_id, "")[0]


def is_packed(call_id: object) -> bool:
    """Whether `bare_id` may have something to take off."""
    return isinstance(call_id, str) and _SEPARATOR in call_id


@lru_cache(maxsize=256)
def _mark(model: str) -> str:
    return blake2b(model.removeprefix("models/").encode(), digest_size=_MARK_LENGTH // 2).hexdigest()


def extra_content(signature: str) -> dict[str, Any]:
    """The ``extra_content`` of a message or tool call that has ``signature``."""
    return {"google": {"thought_signature": signature}}


def carried(holder: dict[str, Any]) -> str | None:
    """The signature in the ``extra_content`` of a message or tool call."""
    extra = holder.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) and signature else None
