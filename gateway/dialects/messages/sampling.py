"""Sampling: ``temperature``, ``top_p`` and ``top_k``, as far as model and API version take them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.dialects.messages.models import Traits

_NAMES = ("temperature", "top_p", "top_k")
_NO_SAMPLING_SINCE = "2026-10-21"
_LEAST_TOP_P_THINKING = 0.95


def sample(payload: dict[str, Any], body: Mapping[str, Any], traits: Traits, version: str) -> list[str]:
    """Add what can be had to ``payload``, in which ``thinking`` is settled; return what cannot.

    Leaving out a 1, the default of temperature and top_p, loses nothing. OpenAI's temperatures above 1
    become 1, as in Anthropic's own compatibility layer, and are named as well.
    """
    wanted = {name: body[name] for name in _NAMES if body.get(name) is not None}
    if not wanted:
        return []
    temperature, top_p = wanted.get("temperature"), wanted.get("top_p")
    if not traits.sampling or version >= _NO_SAMPLING_SINCE:
        lost = list(wanted)
    elif payload.get("thinking", {}).get("type", "disabled") != "disabled":
        keeps_top_p = isinstance(top_p, (int, float)) and top_p >= _LEAST_TOP_P_THINKING
        lost = [name for name in wanted if name != "top_p" or not keeps_top_p]
    elif traits.one_sampling and temperature is not None and top_p is not None:
        lost = ["temperature" if temperature == 1 else "top_p"]
    else:
        lost = []
    named = [name for name in lost if wanted.pop(name) != 1 or name == "top_k"]
    if "temperature" in wanted and isinstance(temperature, (int, float)) and temperature > 1:
        wanted["temperature"] = 1
        named.append("temperature")
    payload.update(wanted)
    return named
