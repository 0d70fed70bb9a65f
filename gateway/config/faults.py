"""What the models have to say against the values, in words for the person who wrote them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.config.fields import NAME
from gateway.config.masked import is_secret, without_userinfo
from gateway.config.problems import Fault, Path
from gateway.config.schema import DERIVED, Config
from gateway.config.schema_clients import TARGET
from gateway.config.schema_providers import NEED_KEYS
from gateway.config.section import Section, section_at
from gateway.config.substitute import Substituted
from gateway.config.suggest import hint

_PATTERNS: Mapping[str, str] = {
    NAME: "must be 1 to 64 letters, digits, dots, dashes or underscores, a letter or digit first",
    TARGET: "must be PROVIDER_ID:MODEL or TYPE:MODEL",
}
_RANGES: Mapping[str, tuple[str, str]] = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
}
_KINDS: Mapping[str, str] = {
    "model_type": "must be a mapping (name: value)",
    "dict_type": "must be a mapping (name: value)",
    "dataclass_type": "must be a mapping (name: value)",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "set_type": "must be a list",
    "frozen_set_type": "must be a list",
}
_TYPES: Mapping[str, str] = {
    "string": "must be text: put it in quotes",
    "int": "must be a whole number",
    "float": "must be a number",
    "finite": "must be a number",
    "bool": "must be true or false",
}
"""By how pydantic's name of the error begins."""
_KEYLESS = "leave api_keys out for a server that wants none"
_MAX_SHOWN = 60


def show(path: Path, value: Any) -> str:
    """A value for an error message; secrets, and whatever came by substitution, only as ``…``."""
    if isinstance(value, dict | list | tuple):
        return _kind(value)
    if isinstance(value, Substituted) or is_secret(path):
        return "…"
    text = json.dumps(without_userinfo(value) if isinstance(value, str) else value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"


def explain(error: ValidationError, root: Any, section: type[Section] = Config) -> Iterator[Fault]:
    """Every error of the models as a fault; ``root`` is what was validated as a ``section``."""
    for one in error.errors(include_url=False, include_input=False):
        path = tuple(step for step in one["loc"] if step != "[key]")
        if one["type"] == "missing" and path[-1] in _filled_in(path, section):
            continue  # what it would have been filled in from is at fault
        value = written(root, path)
        fault = _explain(one, path, value, section_at(section, path))
        yield fault._replace(message=f"{fault.message}; {_KEYLESS}") if _keyless(root, path, value) else fault


def _keyless(root: Any, path: Path, value: Any) -> bool:
    """Whether it is an empty key where none is needed."""
    if value != "" or path[:1] != ("llm_providers",) or path[2:3] != ("api_keys",):
        return False
    return written(root, path[:2]).get("type") not in NEED_KEYS


def _filled_in(path: Path, section: type[Section]) -> frozenset[str]:
    return DERIVED.get(section_at(section, path).__name__, frozenset()) - {"type"}


def written(root: Any, path: Path) -> Any:
    """The value as it was read, before the models touched it; of a short form the whole."""
    for step in path:
        if isinstance(root, dict):
            root = root.get(step)
        elif isinstance(root, list) and isinstance(step, int):
            root = root[step]
    return root


def _explain(one: ErrorDetails, path: Path, value: Any, section: type[Section]) -> Fault:
    kind = one["type"]
    if kind == "missing":
        return Fault(path, _missing(path))
    if kind == "extra_forbidden":
        return Fault(path, f"unknown setting{hint(str(path[-1]), section.model_fields)}")
    return wrong(one, path, value)


def wrong(one: ErrorDetails, path: Path, value: Any) -> Fault:
    """What is wrong with a ``value`` that is there and allowed to be."""
    kind, ctx = one["type"], one.get("ctx", {})
    if kind in _KINDS:
        return Fault(path, _KINDS[kind], _kind(value))
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", ctx["expected"])
        near = hint(value, choices) if isinstance(value, str) and len(choices) > 1 else ""
        return Fault(
            path, f"must be {_alternatives(choices)}{near.partition('; there is')[0]}", show(path, value)
        )
    if kind in _RANGES:
        words, bound = _RANGES[kind]
        return Fault(path, f"must be {words} {ctx[bound]:g}", show(path, value))
    return Fault(path, _message(kind, ctx), show(path, value))


def _message(kind: str, ctx: Mapping[str, Any]) -> str:
    if kind in ("value_error", "assertion_error"):
        return str(ctx["error"])
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(ctx["pattern"], f"must match {ctx['pattern']}")
    family, _, what = kind.partition("_")
    if family in _TYPES and what in ("type", "parsing", "from_float", "number"):
        return _TYPES[family]
    return f"is not valid ({kind.replace('_', ' ')})"


def _missing(path: Path) -> str:
    if path[0] == "llm_providers":
        if len(path) == 1:
            return "is required: at least one provider"
        if path[-1] == "type":
            return "is required: it cannot be told from id or base_url"
    return "is required"


def _alternatives(choices: list[str]) -> str:
    quoted = [f'"{choice}"' for choice in choices]
    return " or ".join(filter(None, (", ".join(quoted[:-1]), quoted[-1])))


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    return "text" if isinstance(value, str) else "nothing" if value is None else "a single value"
