"""The table of parameters, and the page that publishes it."""

import re
from pathlib import Path

from gateway.dialects.messages.parameters import FATES, NEUTRAL, Fate

PAGE = Path(__file__).parents[3] / "docs" / "providers" / "claude.rst"


def test_the_page_says_of_every_parameter_what_becomes_of_it() -> None:
    said: dict[str, set[str]] = {}
    section = ""
    for line in PAGE.read_text().splitlines():
        if line in ("Translated", "Dropped", "Refused", "Conversations"):
            section = line
        elif line.startswith("``"):
            said.setdefault(section, set()).update(re.findall(r"``(\w+)``", line))
    for fate in Fate:
        assert said[fate.name.capitalize()] == {name for name, known in FATES.items() if known is fate}


def test_only_what_is_left_out_needs_a_neutral_value() -> None:
    assert all(FATES[name] is not Fate.TRANSLATED for name in NEUTRAL)
