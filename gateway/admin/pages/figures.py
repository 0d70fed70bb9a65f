"""Figures and names as pages show them: Jinja filters, each with its unit; what is unknown is a dash."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from markupsafe import Markup

from gateway.api import Total

NONE = "–"
MAX_NAME = 120
"""Characters shown of a name that somebody else chose."""
_NANO = 10**9
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff]")


def usd(nano: int | None) -> str:
    """Nano-dollars as exact dollars, with two decimals at least."""
    if nano is None:
        return NONE
    sign, nano = ("-", -nano) if nano < 0 else ("", nano)
    decimals = f"{nano % _NANO:09d}".rstrip("0").ljust(2, "0")
    return f"{sign}${nano // _NANO:,}.{decimals}"


def usd_short(nano: float | None) -> str:
    """Nano-dollars as dollars to the cent, or to three digits where that would show none."""
    if nano is None:
        return NONE
    dollars = nano / _NANO
    return f"${dollars:,.2f}" if abs(dollars) >= 0.1 or not nano else f"${Decimal(f'{dollars:.3g}'):f}"


def dollars(amount: Decimal | None) -> str:
    """Dollars, with every digit there is and two decimals at least."""
    if amount is None:
        return NONE
    whole, _, decimals = f"{amount:,f}".partition(".")
    return f"${whole}.{decimals:0<2}"


def count(number: float | None) -> str:
    """A whole number, its thousands apart."""
    return NONE if number is None else f"{number:,.0f}"


def ms(milliseconds: float | None) -> str:
    """A duration in the unit that suits it."""
    if milliseconds is None:
        return NONE
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.2g} ms"
    return f"{milliseconds / 1000:.2f} s" if milliseconds < 9_995 else duration(milliseconds / 1000)


def duration(seconds: float | None) -> str:
    """A duration in its two largest units."""
    if seconds is None:
        return NONE
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds % 1 and seconds < 20 else f"{seconds:.0f} s"
    whole = round(seconds)
    for size, unit, smaller, lesser in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {lesser}" if rest else "")
    return f"{whole} s"


def share(ratio: float | None) -> str:
    """A ratio as a percentage."""
    if ratio is None:
        return NONE
    percent = ratio * 100
    return f"{percent:.0f} %" if percent >= 10 or not percent else f"{percent:.2g} %"


def rate(number: float | None) -> str:
    """A number of things a minute."""
    if number is None:
        return NONE
    return f"{number:,.0f}/min" if number >= 10 or not number else f"{number:.2g}/min"


def moment(when: float | str | None) -> str:
    """A time, seconds since the epoch or RFC 3339: in UTC, which a script turns into the browser's zone."""
    if when is None:
        return NONE
    at = datetime.fromtimestamp(when, UTC) if isinstance(when, int | float) else datetime.fromisoformat(when)
    utc = at.astimezone(UTC)
    text = utc.strftime("%Y-%m-%d %H:%M:%S UTC")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(utc.isoformat(), text, text)


def ago(when: float | None) -> str:
    """How long ago that was."""
    return NONE if when is None else f"{duration(max(round(time.time() - when), 0))} ago"


def name(text: object, most: int = MAX_NAME) -> str:
    """What somebody else chose to call something: invisible characters spelt out, and not endless."""
    shown = _HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", str(text)[: most + 1])
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def errors_share(total: Total) -> float | None:
    """The share of requests that failed; None without requests."""
    return total.errors / total.requests if total.requests else None


def first_token(total: Total) -> float | None:
    """The mean time to the first token, ms; None without streams."""
    return total.first_token_us / total.first_tokens / 1000 if total.first_tokens else None


FILTERS: dict[str, Callable[..., Any]] = {
    "ago": ago,
    "count": count,
    "dollars": dollars,
    "duration": duration,
    "errors_share": errors_share,
    "first_token": first_token,
    "moment": moment,
    "ms": ms,
    "name": name,
    "rate": rate,
    "share": share,
    "usd": usd,
    "usd_short": usd_short,
}
