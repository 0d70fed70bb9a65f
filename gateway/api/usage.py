"""Tokens in disjoint classes, and what they cost in whole nano-dollars."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

NANO = Decimal(1_000_000_000)
_PER_TOKEN = NANO / 1000  # prices are per 1,000 tokens


@dataclass(slots=True)
class Usage:
    """Token counts of one answer. The classes are disjoint: their sum is every token there was."""

    input: int = 0
    """Uncached text input."""
    cache_read: int = 0
    cache_write: int = 0
    audio_input: int = 0
    output: int = 0
    """Visible text output, without reasoning and audio."""
    reasoning: int = 0
    audio_output: int = 0
    estimated: bool = False
    """True where the upstream named no figures and these are ours."""

    @property
    def prompt(self) -> int:
        """All input tokens, cached or not."""
        return self.input + self.cache_read + self.cache_write + self.audio_input

    @property
    def completion(self) -> int:
        """All output tokens, seen or not."""
        return self.output + self.reasoning + self.audio_output

    @property
    def total(self) -> int:
        return self.prompt + self.completion


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars per 1,000 tokens of each class; None where unknown."""

    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    reasoning: Decimal | None = None
    audio_input: Decimal | None = None
    audio_output: Decimal | None = None

    @property
    def known(self) -> bool:
        """Whether a cost can be named at all: input and output both have a price."""
        return self.input is not None and self.output is not None

    @property
    def free(self) -> bool:
        """Whether every token is known to cost nothing."""
        classes = (self.cache_read, self.cache_write, self.reasoning, self.audio_input, self.audio_output)
        return self.input == self.output == 0 and not any(classes)

    def cost(self, usage: Usage) -> int | None:
        """Cost in nano-dollars, rounded once, half to even; None if a price is unknown.

        A class without a price of its own costs what plain input or output costs.
        """
        if self.input is None or self.output is None:
            return None
        dollars_per_thousand = usage.input * self.input + usage.output * self.output
        for count, price, fallback in (
            (usage.cache_read, self.cache_read, self.input),
            (usage.cache_write, self.cache_write, self.input),
            (usage.audio_input, self.audio_input, self.input),
            (usage.reasoning, self.reasoning, self.output),
            (usage.audio_output, self.audio_output, self.output),
        ):
            if count:
                dollars_per_thousand += count * (fallback if price is None else price)
        return int((dollars_per_thousand * _PER_TOKEN).to_integral_value(ROUND_HALF_EVEN))
