"""OpenAI's refusals in the service's own words (error-code guide and answers of the live service)."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from tests.fakes.upstream import Json, Rejected

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_TYPE_NAMES = {
    str: "a string",
    int: "an integer",
    float: "a decimal",
    bool: "a boolean",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


def error(message: str, code: str | None = None, param: str | None = None, *, status: int = 400) -> Rejected:
    """A refusal in OpenAI's shape: all four keys, always."""
    body = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return Rejected(status, {"error": body})


def missing(path: str) -> Rejected:
    return error(f"Missing required parameter: '{path}'.", "missing_required_parameter", path)


def wrong_type(path: str, expected: str, value: Any) -> Rejected:
    got = _TYPE_NAMES[type(value)]
    text = f"Invalid type for '{path}': expected {expected}, but got {got} instead."
    return error(text, "invalid_type", path)


def empty_array(path: str) -> Rejected:
    rule = "Expected an array with minimum length 1, but got an empty array instead."
    return error(f"Invalid '{path}': empty array. {rule}", "empty_array", path)


def known(value: Json, fields: Collection[str], path: str) -> None:
    """Raise `Rejected` if ``value`` has a field that is not among ``fields``."""
    for name in value:
        if name not in fields:
            if not path:
                raise error(f"Unrecognized request argument supplied: {name}")
            raise error(f"Unknown parameter: '{path}.{name}'.", "unknown_parameter", f"{path}.{name}")


def one_of(path: str, value: Any, allowed: Collection[str]) -> None:
    """Raise `Rejected` unless ``value`` is one of ``allowed``."""
    if value not in allowed:
        *most, last = (f"'{name}'" for name in allowed)
        listed = f"{', '.join(most)}{',' if len(most) > 1 else ''}{' and ' if most else ''}{last}"
        raise error(f"Invalid value: '{value}'. Supported values are: {listed}.", "invalid_value", path)


def name_rule(name: Any, path: str) -> None:
    """Raise `Rejected` unless ``name`` is a legal function or schema name."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        rule = "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
        raise error(f"Invalid '{path}': string does not match pattern. {rule}", "invalid_value", path)
