"""The messages of an OpenAI chat as Gemini's ``contents`` and ``systemInstruction``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.api import Unsupported
from gateway.dialects import gemini_media
from gateway.dialects.gemini_model import generation
from gateway.dialects.gemini_signature import SKIP, carried, unpack
from gateway.dialects.losses import lost

Json = dict[str, Any]

_MEDIA = {"image_url": gemini_media.image, "input_audio": gemini_media.audio, "file": gemini_media.file}
_MESSAGE = frozenset(
    {"role", "content", "name", "tool_calls", "tool_call_id", "refusal", "function_call"}
    | {"reasoning_content", "reasoning_details", "images", "extra_content"}
)
"""Fields of messages that mean something here, or are about what another provider thought."""
_PART = frozenset({"type", "text", "refusal", *_MEDIA})
_NO_RESULT = {"error": "No result was given for this call."}


@dataclass(slots=True)
class _Pending:
    """A function call that waits for its response."""

    client_id: Any
    response: Json
    """The ``functionResponse`` to be: complete but for ``response``."""


@dataclass(slots=True)
class Conversation:
    """Gemini's form of the messages added so far.

    A turn of function calls is followed by exactly one content with as many responses, in the calls'
    order. Equal messages always give equal contents, so that a growing chat has a stable prefix.
    """

    model: str
    contents: list[Json] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    _system: list[str] = field(default_factory=list)
    _pending: list[_Pending] = field(default_factory=list)
    _generation: float = field(init=False)
    _after: list[Json] = field(default_factory=list)
    """Parts that follow the pending responses: a content of responses holds nothing else."""

    def __post_init__(self) -> None:
        self._generation = generation(self.model)

    def add(self, message: Json) -> None:
        """Add the next message. Raises `Unsupported` for a role or part without equivalent."""
        role = message.get("role")
        self._note(message, _MESSAGE)
        if role == "tool":
            self._add_result(message)
            return
        if message.get("name") is not None:
            self._drop("messages.name")
        if role in ("system", "developer"):
            self._system += self._texts(message.get("content"))
            return
        self._settle()
        if role == "user":
            self._turn("user", self._parts(message.get("content")))
        elif role == "assistant":
            self._add_answer(message)
        else:
            raise Unsupported("messages", f"role {role!r}"[:80])

    def finish(self, body: Json) -> None:
        """Put what was added into ``body``. Raises `Unsupported` if there is nothing to answer."""
        self._settle()
        if not self.contents and self._system:
            self._turn("user", [{"text": "\n\n".join(self._system)}])
            self._system = []
        if not self.contents:
            raise Unsupported("messages", "every message is empty")
        first = self.contents[0]
        if first["role"] == "model" and any("functionCall" in part for part in first["parts"]):
            # A call must follow a user's turn; this chat lost its beginning.
            self.contents.insert(0, {"role": "user", "parts": [{"text": "(earlier messages omitted)"}]})
        body["contents"] = self.contents
        if self._system:
            body["systemInstruction"] = {"parts": [{"text": "\n\n".join(self._system)}]}

    def _turn(self, role: str, parts: list[Json]) -> None:
        if parts:
            self.contents.append({"role": role, "parts": parts})

    def _drop(self, name: str) -> None:
        if name not in self.dropped:
            self.dropped.append(name)

    def _note(self, holder: Json, known: frozenset[str]) -> None:
        for name in lost(holder, known, "messages"):
            self._drop(name)

    def _settle(self) -> None:
        """Write the content of function responses; calls that got none are answered with an error."""
        if self._pending:
            self._turn("user", [{"functionResponse": pending.response} for pending in self._pending])
            self._pending = []
        if self._after:
            self._turn("user", self._after)
            self._after = []

    def _add_result(self, message: Json) -> None:
        """A tool message. The text stays text: as a JSON object its numbers would become doubles."""
        parts = self._parts(message.get("content"))
        text = "\n".join(part["text"] for part in parts if "text" in part)
        call_id = message.get("tool_call_id")
        for pending in self._pending:
            if pending.client_id == call_id and pending.response["response"] is _NO_RESULT:
                pending.response["response"] = {"result": text}
                break
        else:
            if text:
                self._after.append({"text": f"Result of an earlier tool call: {text}"})
        self._after += [part for part in parts if "text" not in part]

    def _add_answer(self, message: Json) -> None:
        if message.get("function_call") is not None:
            raise Unsupported("messages", "function_call, which tool_calls replaced")
        parts = self._parts(message.get("content")) + self._parts(message.get("refusal"))
        parts += self._parts(message.get("images"))  # ours, of an earlier answer
        if parts and self._generation >= 2.5 and (signature := carried(message)):
            parts[-1]["thoughtSignature"] = signature
        unsigned = self._generation >= 3
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            part = self._call(call)
            if unsigned:
                part.setdefault("thoughtSignature", SKIP)
                unsigned = False  # of parallel calls only the first is signed
            parts.append(part)
        last = self.contents[-1] if self.contents else None
        if last is not None and last["role"] == "model":
            last["parts"] += parts  # a call may not follow another turn of the model's
        else:
            self._turn("model", parts)

    def _call(self, call: Json) -> Json:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(name := function.get("name"), str):
            raise Unsupported("messages", "a tool call that is not a function's")
        client_id = call.get("id")
        call_id, signature = unpack(client_id, self.model) if isinstance(client_id, str) else ("", None)
        if call_id == client_id:  # nothing was packed in it
            signature = carried(call)
        sent: Json = {"name": name, "args": _arguments(function.get("arguments"))}
        response: Json = {"name": name, "response": _NO_RESULT}
        if call_id and self._generation >= 3:  # earlier ones have no ids, and match by order
            sent["id"] = response["id"] = call_id
        self._pending.append(_Pending(client_id, response))
        part: Json = {"functionCall": sent}
        if self._generation >= 2.5 and signature:
            part["thoughtSignature"] = signature
        return part

    def _parts(self, content: Any) -> list[Json]:
        """The parts of a message's content: empty ones, which Gemini refuses, are left out."""
        if isinstance(content, str):
            return [{"text": content}] if content else []
        return [part for item in _items(content) if (part := self._part(item)) is not None]

    def _texts(self, content: Any) -> list[str]:
        """What a system message says; it can say it only in text."""
        parts = self._parts(content)
        if not all("text" in part for part in parts):
            raise Unsupported("messages", "a system message that is not text")
        return [part["text"] for part in parts]

    def _part(self, item: Json) -> Json | None:
        self._note(item, _PART)
        kind = item.get("type")
        if kind in ("text", "refusal"):
            text = item.get(kind)
            return {"text": text} if isinstance(text, str) and text else None
        convert = _MEDIA.get(kind) if isinstance(kind, str) else None
        if convert is None:
            raise Unsupported("messages", f"content part of type {kind!r}"[:80])
        holder = item.get("image_url")
        if isinstance(holder, dict) and holder.get("detail") not in (None, "auto"):
            self._drop("messages.image_url.detail")
        return convert(item)


def _items(content: Any) -> Iterable[Json]:
    if content is None:
        return ()
    if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
        raise Unsupported("messages", "content that is neither text nor a list of parts")
    return content


def _arguments(arguments: Any) -> Json:
    """A call's arguments as the object Gemini wants; what is no object becomes the member of one."""
    value = arguments
    if isinstance(arguments, str):
        try:
            value = orjson.loads(arguments) if arguments.strip() else {}
        except orjson.JSONDecodeError:
            value = arguments
    if value is None:
        return {}
    return value if isinstance(value, dict) else {"arguments": value}
