"""Tokens in disjoint classes, other units, and what they cost in whole nano-dollars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from typing import Self

NANO = Decimal(1_000_000_000)
_EXACT = Context(prec=200)
"""Digits enough for any price and any count: only the end result is rounded."""
_PER_THOUSANDTH = NANO / 1000  # prices are per 1,000 tokens


@dataclass(frozen=True, slots=True)
class Units:
    """What one answer is billed by if it is not by tokens; 0 of what does not apply or nobody counted."""

    images: int = 0
    """Images made."""
    audio_seconds: Decimal = Decimal(0)
    """Length of the sound that was heard."""
    characters: int = 0
    """Of the text that was spoken."""
    searches: int = 0
    """Search units of a ranking."""

    def counted(self) -> dict[str, float] | None:
        """Those that are not 0, by name; None if all are."""
        counts = {
            "images": self.images,
            "audio_seconds": float(self.audio_seconds),
            "characters": self.characters,
            "searches": self.searches,
        }
        return {name: count for name, count in counts.items() if count} or None

    @classmethod
    def of(cls, counts: Mapping[str, float]) -> Self:
        """Those that `counted` gave these counts of."""
        images, characters, searches = (int(counts.get(name, 0)) for name in _WHOLE)
        return cls(images, Decimal(str(counts.get("audio_seconds", 0))), characters, searches)


_WHOLE = ("images", "characters", "searches")
NO_UNITS = Units()


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
    cache_write_1h: int = 0
    """Those of ``cache_write`` that are kept for an hour: a part, no class of its own."""
    units: Units = NO_UNITS
    """Other counts, of answers that may be billed by them."""

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
    """US dollars per 1,000 tokens of each class, and per unit; None where unknown."""

    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    reasoning: Decimal | None = None
    audio_input: Decimal | None = None
    audio_output: Decimal | None = None
    cache_write_1h: Decimal | None = None
    image: Decimal | None = None
    audio_minute: Decimal | None = None
    character: Decimal | None = None
    """Per 1,000 of them."""
    search: Decimal | None = None

    @property
    def known(self) -> bool:
        """Whether a cost can be named at all: input and output both have a price."""
        return self.input is not None and self.output is not None

    @property
    def by_unit(self) -> bool:
        """Whether anything but tokens has a price."""
        return (self.image, self.audio_minute, self.character, self.search) != (None, None, None, None)

    def covers(self, units: Units) -> bool:
        """Whether some of these units have a price."""
        return self._of_units(units) is not None

    @property
    def free(self) -> bool:
        """Whether every token is known to cost nothing."""
        written = (self.cache_write, self.cache_write_1h)
        classes = (self.cache_read, *written, self.reasoning, self.audio_input, self.audio_output)
        return self.input == self.output == 0 and not any(classes)

    def cost(self, usage: Usage) -> int | None:
        """Cost of the tokens in nano-dollars, rounded once, half to even; None if a price is unknown.

        A class without a price of its own costs what plain input or output costs, and what is kept in a cache
        for an hour what is kept there at all.
        """
        with localcontext(_EXACT):
            thousandths = self._of_tokens(usage)
            return None if thousandths is None else _nano(thousandths)

    def cost_by_unit(self, usage: Usage) -> int | None:
        """Cost of an answer that may be billed by other units than tokens, rounded as by `cost`.

        It is that of the units that were counted and have a price, and of the tokens if the upstream counted
        them and they have one. None if that is nothing.
        """
        with localcontext(_EXACT):
            of_units = self._of_units(usage.units)
            of_tokens = None if usage.estimated and not self.free else self._of_tokens(usage)
            if of_units is None and of_tokens is None:
                return None
            return _nano((of_units or Decimal(0)) + (of_tokens or Decimal(0)))

    def _of_tokens(self, usage: Usage) -> Decimal | None:
        """In thousandths of a dollar."""
        if self.input is None or self.output is None:
            return None
        written = self.input if self.cache_write is None else self.cache_write
        thousandths = usage.input * self.input + usage.output * self.output
        for count, price, fallback in (
            (usage.cache_read, self.cache_read, self.input),
            (usage.cache_write - usage.cache_write_1h, self.cache_write, self.input),
            (usage.cache_write_1h, self.cache_write_1h, written),
            (usage.audio_input, self.audio_input, self.input),
            (usage.reasoning, self.reasoning, self.output),
            (usage.audio_output, self.audio_output, self.output),
        ):
            if count:
                thousandths += count * (fallback if price is None else price)
        return thousandths

    def _of_units(self, units: Units) -> Decimal | None:
        """In thousandths of a dollar; None if none of them was counted and has a price."""
        parts = [
            count * price
            for count, price in (
                (units.images * 1000, self.image),
                (units.audio_seconds * 1000 / 60, self.audio_minute),
                (units.characters, self.character),
                (units.searches * 1000, self.search),
            )
            if count and price is not None
        ]
        return sum(parts, Decimal(0)) if parts else None


def _nano(thousandths: Decimal) -> int:
    return int((thousandths * _PER_THOUSANDTH).to_integral_value(ROUND_HALF_EVEN))
