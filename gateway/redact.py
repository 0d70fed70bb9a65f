"""The gateway's own key in what an upstream says: found in any form it may take, and taken out."""

from __future__ import annotations

import base64
from dataclasses import replace
from urllib.parse import quote

import orjson

from gateway.api import Outcome

MIN_LENGTH = 8
"""Characters of a secret worth looking for: shorter ones ("none", "ollama") are words of everyday."""
MIN_IN_ANSWERS = 20
"""The same for answers, which are refused for it: placeholders ("sk-no-key-required") may be talked about."""
REMOVED = "[removed]"


class Redactor:
    """Looks for one secret."""

    __slots__ = ("_forms", "_in_json", "_overlap")

    def __init__(self, secret: str) -> None:
        self._forms = _forms(secret) if len(secret) >= MIN_LENGTH else ()
        found = _in_json(secret) if len(secret) >= MIN_IN_ANSWERS else set()
        self._in_json = tuple(form.encode() for form in found)
        self._overlap = max(map(len, self._in_json), default=0) - 1

    def in_answer(self, data: bytes) -> bool:
        """Whether a piece of an answer, which is JSON, holds the secret."""
        for form in self._in_json:  # noqa: SIM110  # a generator takes longer than the search
            if form in data:
                return True
        return False

    def tail(self, data: bytes) -> bytes:
        """The end of a piece of an answer, in which the secret may begin: to be put before the next one."""
        return data[-self._overlap :] if self._in_json else b""

    def in_text(self, text: str) -> bool:
        """Whether ``text`` holds the secret in any form."""
        return any(form in text for form in self._forms)

    def outcome(self, outcome: Outcome) -> Outcome:
        """``outcome`` without the secret in its words."""
        return replace(
            outcome,
            message=self.without(outcome.message),
            code=None if outcome.code and self.in_text(outcome.code) else outcome.code,
            param=None if outcome.param is None else self.without(outcome.param),
        )

    def without(self, text: str) -> str:
        """``text`` without the secret, and without its beginning where the text was cut in its middle."""
        for form in self._forms:
            text = text.replace(form, REMOVED)
            text = _without_start(text, form)
        return text


def _in_json(secret: str) -> set[str]:
    """The secret as most write it in JSON, as PHP does and as .NET does."""
    plain = orjson.dumps(secret).decode()[1:-1]
    return {plain, plain.replace("/", r"\/"), plain.replace("+", r"\u002B")}


def _forms(secret: str) -> tuple[str, ...]:
    """The secret as it is, in JSON, in a URL, and in base64 wherever it begins in a longer text."""
    raw = secret.encode()
    forms = {secret, *_in_json(secret), quote(secret, safe=""), quote(secret)}
    for offset in range(3):
        code = base64.b64encode(bytes(offset) + raw).decode().rstrip("=")
        # The first characters and the last one also depend on what stands beside the secret.
        inner = code[(0, 2, 3)[offset] : len(code) - (1 if (offset + len(raw)) % 3 else 0)]
        forms |= {inner, inner.replace("+", "-").replace("/", "_")}
    return tuple(sorted(forms, key=len, reverse=True))


def _without_start(text: str, form: str) -> str:
    """``text`` without the first part of ``form`` at its end, where the text was cut in the middle of it."""
    if not text.endswith("…"):
        return text
    for length in range(len(form) - 1, MIN_LENGTH - 1, -1):
        if text.endswith(form[:length] + "…"):
            return f"{text[: -length - 1]}{REMOVED}…"
    return text
