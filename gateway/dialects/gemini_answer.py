"""What Gemini said so far to a chat: the half of a reader that does not depend on how it came."""

from __future__ import annotations

import time
from random import getrandbits
from typing import Any

from gateway.api import Call, Kind, Outcome
from gateway.dialects.chat_errors import invalid
from gateway.dialects.count import later
from gateway.dialects.gemini_candidate import BLOCKED, FAILURES, Choice, logprobs
from gateway.dialects.gemini_errors import reported
from gateway.dialects.gemini_usage import read_usage
from gateway.dialects.reading import Reading

Json = dict[str, Any]


class Answer(Reading):
    """A `Reader` without its input: a subclass is a `WholeReading` or an `EventReading` besides."""

    kind = ""
    streamed = False

    def __init__(self, call: Call) -> None:
        super().__init__()
        self.choices: dict[int, Choice] = {}
        self._created = int(time.time())
        self._asked = self._model = call.model
        self._id = ""

    def value(self, choices: list[Json]) -> Json:
        """A completion or chunk with ``choices``, without usage."""
        return {
            "id": f"chatcmpl-{self._id}",
            "object": self.kind,
            "created": self._created,
            "model": self._model,
            "choices": choices,
        }

    def invalid(self, reason: str) -> None:
        """The upstream did not keep to its format. ``reason`` holds nothing of the answer."""
        self.fault = invalid(reason)

    def _begin(self, answer: Json) -> None:
        """Take what must be the same in all chunks from the first piece of the answer."""
        given, model = answer.get("responseId"), answer.get("modelVersion")
        self._id = given if isinstance(given, str) and given else f"{getrandbits(96):024x}"
        if isinstance(model, str) and model:
            self._model = model

    def take(self, answer: Any) -> list[tuple[Choice, Json, Json | None]]:
        """Read one GenerateContentResponse: per candidate its choice, delta and logprobs.

        Raises `ValueError` as `Choice.read` does.
        """
        if not isinstance(answer, dict):
            self.invalid("not an object")
            return []
        if (error := answer.get("error")) is not None:
            self.fault = reported(error)
            return []
        if not self._id:
            self._begin(answer)
        self.usage = later(self.usage, read_usage(answer.get("usageMetadata")))
        candidates = answer.get("candidates")
        if not isinstance(candidates, list) or not candidates:
            feedback = answer.get("promptFeedback")
            if not isinstance(feedback, dict) or not feedback.get("blockReason"):
                return []
            candidates = [{"finishReason": BLOCKED}]
        taken = [self._candidate(candidate) for candidate in candidates if isinstance(candidate, dict)]
        self.produced = sum(choice.produced for choice in self.choices.values())
        return taken

    def _candidate(self, candidate: Json) -> tuple[Choice, Json, Json | None]:
        index = candidate.get("index")
        if type(index) is not int:
            index = 0  # the default, which is left out
        choice = self.choices.get(index)
        if choice is None:
            choice = self.choices[index] = Choice(index, self._id, self._asked, streamed=self.streamed)
        result = candidate.get("logprobsResult")
        return choice, choice.read(candidate), None if result is None else logprobs(result)

    def end(self) -> bool:
        """Whether what was read is an answer; sets ``complete`` or ``fault``."""
        if self.fault is not None:
            return False
        reasons = {choice.reason for choice in self.choices.values()}
        if not reasons or None in reasons:
            self.fault = Outcome(Kind.FAILED, 200, "the upstream's answer ended without a finish reason")
        elif not self.produced and (failures := reasons & FAILURES):
            self.fault = Outcome(Kind.FAILED, 200, f"the model gave no answer: {min(map(str, failures))}")
        self.complete = self.fault is None
        return self.complete
