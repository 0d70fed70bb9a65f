"""A client's settings as the fields of a form, and a filled-in form as the body that the API takes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from gateway.admin.pages.forms import Form
from gateway.config.masked import masked_section
from gateway.config.schema_clients import ClientSettings
from gateway.config.tree import CLIENTS

Fields = dict[str, str]
"""What the fields hold, by the paths of the settings."""

_LISTS = ("allowed_providers", "allowed_models")
_LIMITS = ("limits.req_per_min", "limits.tokens_per_min", "limits.max_parallel")
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"))
_NUMBER = re.compile(r"[0-9]{1,18}(\.[0-9]{1,9})?", re.ASCII)
NAMES = ("description", *_LISTS, *_LIMITS, "budget.usd", "budget.window", "expires_at")


def fields_of(client: Mapping[str, Any]) -> Fields:
    """The form of a client as the API shows it; no limit is an empty field."""
    limits, budget = client["limits"], client["budget"]
    ends = client["expires_at"]
    return {
        "description": _text(client["description"]),
        **{name: "\n".join(map(_text, client[name])) for name in _LISTS},
        **{name: str(limits[name.removeprefix("limits.")] or "") for name in _LIMITS},
        "budget.usd": f"{Decimal(str(budget['usd'])).normalize():f}" if budget["usd"] else "",
        "budget.window": duration_text(budget["window"]),
        "expires_at": f"{datetime.fromisoformat(ends).astimezone(UTC):%Y-%m-%dT%H:%M:%S}" if ends else "",
    }


def blank() -> Fields:
    """The form of a client that is yet to be made."""
    return fields_of(masked_section(ClientSettings(id="new"), CLIENTS))


def filled(form: Form) -> Fields:
    """What was filled in."""
    return {name: _text(form.get(name, "")).strip() for name in NAMES}


def changes(shown: Fields, wanted: Fields) -> dict[str, Any]:
    """The body that sets what is ``wanted`` otherwise than ``shown``. What is no number where there should be
    one stays as it is, for the API to say so."""
    body: dict[str, Any] = {}
    for name in NAMES:
        if wanted[name] != shown[name].strip():
            outer, _, inner = name.partition(".")
            place = body.setdefault(outer, {}) if inner else body
            place[inner or outer] = _value(name, wanted[name])
    return body


def written(fields: Fields) -> str:
    """What a form shows, to come back with it."""
    return json.dumps(fields)


def read(text: str) -> Fields | None:
    """What a form showed; None if this was not `written`."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    known = isinstance(fields, dict) and fields.keys() == set(NAMES)
    return fields if known and all(isinstance(value, str) for value in fields.values()) else None


def rebased(shown: Fields, wanted: Fields, now: Fields) -> tuple[Fields, dict[str, str]]:
    """What of ``wanted`` is otherwise than ``shown``, on top of how it is ``now``; and of the fields that
    were changed here and meanwhile elsewhere, to something else, what became of them there."""
    mine = {name: wanted[name] for name in NAMES if wanted[name] != shown[name].strip()}
    both = [name for name, text in mine.items() if now[name] not in (shown[name], text)]
    return {**now, **mine}, {name: f"Meanwhile it was set to: {now[name] or 'nothing'}." for name in both}


def duration_text(seconds: float) -> str:
    """As the configuration has it: ``30d``."""
    for size, unit in _UNITS:
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size:.0f}{unit}"
    return f"{seconds:g}s"


def duration_value(text: str) -> str | float:
    """A bare number is one of seconds."""
    return float(text) if _NUMBER.fullmatch(text) else text


def _value(name: str, text: str) -> Any:
    if name in _LISTS:
        return [line.strip() for line in text.split("\n") if line.strip()]
    if name in _LIMITS or name == "budget.usd":
        return _number(text or "0")
    if name == "budget.window":
        return duration_value(text) if text else None
    return text or None if name == "expires_at" else text


def _number(text: str) -> int | float | str:
    if not _NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)


def _text(text: str) -> str:
    """As a browser sends it back."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
