"""What OpenAI's models take in a chat, by their names: for requests that were made of another dialect's."""

from __future__ import annotations

import re
from typing import Any

from gateway.api import Unsupported

_MAX_STOPS = 4
_EFFORT = "reasoning_effort"
_O_SERIES = re.compile(r"(?:ft:)?o\d")
_GPT = re.compile(r"(?:ft:)?(?:chat)?gpt-(\d{1,2})(?:\.(\d{1,2}))?")
_HIGHER = ("xhigh", "max")
_UNHEARD = ("stop", "logprobs")
"""What a model that reasons refuses, and whose loss would change the answer."""


def fit(body: dict[str, Any]) -> tuple[str, ...]:
    """Take out what OpenAI, or this model of its, does not know; say what. Raises `Unsupported` for what
    cannot be left out."""
    if len(body.get("stop") or ()) > _MAX_STOPS:
        raise Unsupported("stop", f"OpenAI takes {_MAX_STOPS} at most")
    model = body["model"]
    strange = ["top_k"] if _takes_effort(model, tools=bool(body.get("tools"))) else ["top_k", _EFFORT]
    dropped = [name for name in strange if body.pop(name, None) is not None]
    if (generation := _generation(model)) is not None:
        dropped += _fit_reasoning(body, generation)
    return tuple(dropped)


def _takes_effort(model: str, *, tools: bool) -> bool:
    """Whether ``model`` takes a ``reasoning_effort`` in a chat, with tools or without. One whose name tells
    nothing is taken to."""
    if _GPT.match(model) is None:
        return True
    generation = _generation(model)
    return generation is not None and not (tools and generation >= (5, 4))


def _generation(model: str) -> tuple[int, int] | None:
    """Of a model that reasons (0 for the o series); None for others, and those whose name tells nothing."""
    if _O_SERIES.match(model):
        return 0, 0
    found = _GPT.match(model)
    if found is None or "-chat" in model:
        return None
    version = (int(found[1]), int(found[2] or 0))
    return version if version >= (5, 0) else None


def _fit_reasoning(body: dict[str, Any], generation: tuple[int, int]) -> list[str]:
    """While it reasons a model takes no sampling but the default, and before 5.2 no effort above high."""
    effort = body.get(_EFFORT)
    if effort in _HIGHER and generation < (5, 2):
        body[_EFFORT] = "high"
    if effort == "none" and generation >= (5, 1):
        return []
    for name in _UNHEARD:
        if body.get(name):
            raise Unsupported(name, "OpenAI's models that reason do not take it")
    return [name for name in ("temperature", "top_p") if body.pop(name, 1) not in (1, None)]
