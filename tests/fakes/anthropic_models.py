"""How Claude models differ: what each generation still takes, and what it insists on."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.fakes.upstream import Json

MODELS = (
    *("claude-haiku-4-5", "claude-sonnet-4-5", "claude-opus-4-6", "claude-opus-4-7", "claude-opus-4-8"),
    *("claude-sonnet-5", "claude-opus-5", "claude-sonnet-5-5", "claude-opus-5-5"),
)
_VERSION = re.compile(r"claude-[a-z]+-(\d+)(?:-(\d{1,2}))?(?!\d)")


@dataclass(frozen=True, slots=True)
class Traits:
    """One model's rules, from its version: (4, 5), (5, 0) …"""

    version: tuple[int, int]
    max_tokens: int = 64000

    @property
    def sampling(self) -> bool:
        return self.version < (4, 7)

    @property
    def one_sampler(self) -> bool:
        """Takes temperature or top_p, not both."""
        return (4, 5) <= self.version <= (4, 6)

    @property
    def prefill(self) -> bool:
        return self.version < (4, 6)

    @property
    def system_turns(self) -> bool:
        return self.version >= (4, 8)

    @property
    def budgets(self) -> bool:
        """Takes ``thinking: {type: enabled, budget_tokens}``."""
        return self.version <= (4, 6)

    @property
    def adaptive(self) -> bool:
        return self.version >= (4, 6)

    @property
    def thinks(self) -> bool:
        """Thinks unless told not to."""
        return self.version >= (5, 0)

    @property
    def always_thinks(self) -> bool:
        """Cannot be told not to; its thinking is bound to all that came before it."""
        return self.version >= (5, 5)


def traits(model: str) -> Traits:
    """The rules of ``model``; a name without a version counts as 4.5."""
    found = _VERSION.match(model)
    return Traits((int(found[1]), int(found[2] or 0)) if found else (4, 5))


def thinking_on(body: Json, rules: Traits) -> bool:
    """Whether the model thinks in answer to ``body``."""
    kind = (body.get("thinking") or {}).get("type")
    return rules.always_thinks or kind in ("enabled", "adaptive") or (rules.thinks and kind != "disabled")
