"""What a Claude model accepts, by the generation that its name tells.

Sources: Anthropic's model overview, "Extended thinking", "Adaptive thinking", "Effort" and the notes on
what is new in 4.6, 4.7, 4.8 and 5.5.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

_NAME = re.compile(r"claude-(?:([a-z]+)-)?(\d{1,2})(?:[-.](\d{1,2})(?!\d))?(?!\d)")
_ALWAYS_THINKS = {"opus": (5, 5), "sonnet": (5, 5), "fable": (5, 1), "mythos": (5, 1)}


class Thinking(Enum):
    """How a model is told how much to think."""

    NONE = auto()
    BUDGET = auto()
    """``thinking: {type: enabled, budget_tokens}``."""
    ADAPTIVE = auto()
    """``thinking: {type: adaptive}`` with ``output_config.effort``."""
    ALWAYS = auto()
    """As ADAPTIVE, but it cannot be switched off, and no tool can be forced."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What one generation accepts. The defaults are those of a model whose name tells no generation:
    the widely understood form, which compatible servers of other makers take as well."""

    thinking: Thinking = Thinking.BUDGET
    sampling: bool = True
    """Takes ``temperature``, ``top_p`` and ``top_k``."""
    one_sampling: bool = False
    """Takes ``temperature`` or ``top_p``, not both."""
    prefill: bool = True
    """The conversation may end with an assistant message, which is then continued."""
    system_turns: bool = False
    """Takes the role ``system`` after a user turn."""
    summaries: bool = False
    """Leaves the text of its thinking out unless a summary is asked for."""
    xhigh: bool = False
    """Knows the efforts ``xhigh`` and ``max``."""


@lru_cache(maxsize=256)
def traits_of(model: str) -> Traits:
    """The traits of ``model``, under any name that holds ``claude-FAMILY-MAJOR-MINOR`` or the older
    ``claude-MAJOR-MINOR-FAMILY``."""
    found = _NAME.search(model)
    if found is None:
        return Traits()
    family, major, minor = found.groups()
    version = (int(major), int(minor or 0))
    if version >= _ALWAYS_THINKS.get(family, (99, 0)):
        thinking = Thinking.ALWAYS
    elif version >= (4, 6):
        thinking = Thinking.ADAPTIVE
    else:
        thinking = Thinking.BUDGET if version >= (3, 7) else Thinking.NONE
    return Traits(
        thinking=thinking,
        sampling=version < (4, 7),
        one_sampling=version >= (4, 1),
        prefill=version < (4, 6),
        system_turns=version >= (4, 8),
        summaries=version >= (4, 7),
        xhigh=version >= (4, 7),
    )
