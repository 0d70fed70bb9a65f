"""The operations of the client API: all that tells a request to one from a request to another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import ceil
from operator import methodcaller
from typing import Any

from gateway.api import Units
from gateway.api.usage import NO_UNITS
from gateway.dialects import openai_client
from gateway.dialects.client import ClientDialect
from gateway.dialects.messages.inbound import client as anthropic_client
from gateway.dialects.responses.client import RESPONSES as RESPONSES_DIALECT
from gateway.request.check_chat import check_chat, check_completion, check_embedding
from gateway.request.check_messages import check_count, check_messages
from gateway.request.check_passed import check_image, check_moderation, check_rerank, check_speech
from gateway.request.check_responses import check_responses
from gateway.request.checks import check_common

DOCUMENTS = 100
"""Documents that are ranked for one search unit (Cohere's figure)."""
PIECE = 500
"""Tokens of which each further piece of a document counts as another one (Cohere's figure)."""

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of request: its name is also the provider operation's that serves it as it is."""

    name: str
    check: Callable[[Json], None]
    """Raises `ApiError` for a body that no provider could accept."""
    dialect: ClientDialect
    """What its clients speak."""
    writes: bool = True
    """Whether it has output tokens."""
    priced_by_tokens: bool = True
    """Whether an estimate of tokens says what it costs: files and sounds may be billed by other measures."""
    default_model: str | None = None
    """What its clients mean if they name no model, where they need not."""
    streams: Callable[[Json], bool | None] = methodcaller("get", "stream")
    """Whether the answer is asked for as events."""
    units: Callable[[Json, int], Units] = lambda body, input_estimate: NO_UNITS
    """What a request may be billed by at most, beside tokens."""
    opaque: bool = False
    """Whether an answer that is no events is a file, relayed as it comes."""

    def asked_tokens(self, body: Json) -> tuple[str, int] | None:
        """The output limit that the client set: the parameter's name and value."""
        for name in self.dialect.limits:
            if body.get(name) is not None:
                return name, body[name]
        return None


_passed = partial(Operation, priced_by_tokens=False)
"""One that is passed on to providers that speak it."""
_speaking = partial(openai_client.speaking, answers=openai_client.choices)


def _never(body: Json) -> bool:
    return False


def _as_events(body: Json) -> bool:
    return body.get("stream_format") == "sse"


def _images(body: Json, input_estimate: int) -> Units:
    return Units(images=openai_client.choices(body))


def _characters(body: Json, input_estimate: int) -> Units:
    return Units(characters=len(body["input"]))


def _searches(body: Json, input_estimate: int) -> Units:
    return Units(searches=ceil((len(body["documents"]) + input_estimate // PIECE) / DOCUMENTS))


CHAT = Operation("chat", check_chat, openai_client.CHAT)
COMPLETIONS = Operation("completions", check_completion, openai_client.COMPLETIONS)
EMBEDDINGS = Operation("embeddings", check_embedding, openai_client.EMBEDDINGS, writes=False, streams=_never)
RESPONSES = Operation("responses", check_responses, RESPONSES_DIALECT)
MESSAGES = Operation("messages", check_messages, anthropic_client.MESSAGES)
COUNT_TOKENS = Operation(
    "count_tokens", check_count, anthropic_client.COUNT_TOKENS, writes=False, streams=_never
)
MODELS = Operation("models", lambda body: None, openai_client.CHAT)
MODERATIONS = _passed(
    "moderations",
    check_moderation,
    _speaking("moderations"),
    writes=False,
    default_model="omni-moderation-latest",
    streams=_never,
)
IMAGES = _passed("images", check_image, _speaking("images"), units=_images)
SPEECH = _passed(
    "speech", check_speech, _speaking("speech"), streams=_as_events, units=_characters, opaque=True
)
TRANSCRIPTIONS = _passed("transcriptions", check_common, _speaking("transcriptions"))
TRANSLATIONS = _passed("translations", check_common, _speaking("translations"))
RERANK = _passed("rerank", check_rerank, _speaking("rerank"), writes=False, streams=_never, units=_searches)
