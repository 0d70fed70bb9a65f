"""A candidate of Gemini's answer as a choice of OpenAI's, piece by piece or at once."""

from __future__ import annotations

from typing import Any

from gateway.dialects import exact
from gateway.dialects.gemini_signature import extra_content, pack

Json = dict[str, Any]

BLOCKED = "SAFETY"
"""The reason that stands for a prompt that was blocked."""
FAILURES = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
        "MALFORMED_RESPONSE",
        "NO_IMAGE",
        "IMAGE_OTHER",
    }
)
"""Reasons that say the model failed: with nothing produced, the answer is none."""
_FINISH = {
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "LANGUAGE": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "ESCALATION": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
}


class Choice:
    """What was read of one candidate so far."""

    __slots__ = (
        "_call_prefix",
        "_calls",
        "_images",
        "_model",
        "_streamed",
        "index",
        "produced",
        "reason",
        "signature",
    )

    def __init__(self, index: int, answer_id: str, model: str, *, streamed: bool) -> None:
        """``answer_id`` makes the ids of calls that come without one; ``model`` is the one that was asked."""
        self.index = index
        self.produced = 0
        self.reason: str | None = None
        self.signature: str | None = None
        """That of the text, if it has one."""
        self._call_prefix = f"call_{answer_id}_{index}_"
        self._calls = 0
        self._images = 0
        self._model = model
        self._streamed = streamed

    @property
    def finish_reason(self) -> str:
        """OpenAI's word for why it ended; reasons that we do not know are a plain ``stop``."""
        finish = _FINISH.get(self.reason or "", "stop")
        return "tool_calls" if finish == "stop" and self._calls else finish

    def read(self, candidate: Json) -> Json:
        """What ``candidate`` adds: a delta, whose parts of one kind are joined.

        Raises `ValueError` for arguments of a call that no client could read.
        """
        reason = candidate.get("finishReason")
        if isinstance(reason, str):
            self.reason = reason
        delta: Json = {}
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict):
                self._read_part(part, delta)
        return delta

    def _read_part(self, part: Json, delta: Json) -> None:
        signature = part.get("thoughtSignature")
        if isinstance(function := part.get("functionCall"), dict):
            self._read_call(function, signature, delta)
            return
        thought = part.get("thought") is True
        if isinstance(text := part.get("text"), str) and text:
            kind = "reasoning_content" if thought else "content"
            delta[kind] = delta[kind] + text if kind in delta else text
            self.produced += len(text)
        elif isinstance(blob := part.get("inlineData"), dict) and not thought:
            delta.setdefault("images", []).append(self._image(blob))
        if isinstance(signature, str) and signature and not thought:
            self.signature = signature

    def _read_call(self, function: Json, signature: Any, delta: Json) -> None:
        name, arguments = function.get("name"), function.get("args")
        if not isinstance(name, str):
            return
        encoded = exact.dumps(arguments) if isinstance(arguments, dict) else "{}"
        call_id = function.get("id")
        if not isinstance(call_id, str) or not call_id:
            call_id = f"{self._call_prefix}{self._calls}"
        call: Json = {"index": self._calls} if self._streamed else {}
        call["id"] = call_id
        call["type"] = "function"
        call["function"] = {"name": name, "arguments": encoded}
        if isinstance(signature, str) and signature:
            call["id"] = pack(call_id, signature, self._model)
            call["extra_content"] = extra_content(signature)
        delta.setdefault("tool_calls", []).append(call)
        self._calls += 1
        self.produced += len(name) + len(encoded)

    def _image(self, blob: Json) -> Json:
        """An image that the model made, in the form other gateways give it: OpenAI's chat has none."""
        url = f"data:{blob.get('mimeType')};base64,{blob.get('data')}"
        image = {"index": self._images, "type": "image_url", "image_url": {"url": url}}
        self._images += 1
        return image


def message(delta: Json, signature: str | None) -> Json:
    """The message that one delta makes, with nothing in it that could not be sent back."""
    whole: Json = {"role": "assistant", "content": None if "tool_calls" in delta else "", "refusal": None}
    whole |= delta
    if signature is not None:
        whole["extra_content"] = extra_content(signature)
    return whole


def logprobs(result: Any) -> Json | None:
    """OpenAI's ``logprobs`` of a ``logprobsResult``; None if it has none."""
    chosen = result.get("chosenCandidates") if isinstance(result, dict) else None
    if not isinstance(chosen, list):
        return None
    tops = result.get("topCandidates")
    content = []
    for position, candidate in enumerate(chosen):
        if (token := _token(candidate)) is not None:
            top = tops[position] if isinstance(tops, list) and position < len(tops) else None
            others = top.get("candidates") if isinstance(top, dict) else None
            listed = others if isinstance(others, list) else ()
            token["top_logprobs"] = [other for item in listed if (other := _token(item)) is not None]
            content.append(token)
    return {"content": content, "refusal": None}


def _token(candidate: Any) -> Json | None:
    text = candidate.get("token") if isinstance(candidate, dict) else None
    if not isinstance(text, str):
        return None
    return {"token": text, "logprob": candidate.get("logProbability", 0.0), "bytes": list(text.encode())}
