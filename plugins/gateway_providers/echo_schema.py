"""The smallest JSON value that a JSON Schema allows, as far as an echo needs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DEPTH = 16  # of a schema that refers to itself


def smallest(schema: object, root: Mapping[str, Any] | None = None, depth: int = _DEPTH) -> Any:
    """A value valid under ``schema``: its constant, first choice or shortest form.

    ``pattern``, ``format`` and ``multipleOf`` are not looked at; ``$ref`` only leads into ``root``, the
    whole schema.
    """
    if not isinstance(schema, dict) or depth == 0:
        return None
    root = schema if root is None else root
    if "$ref" in schema:
        return smallest(_target(root, schema["$ref"]), root, depth - 1)
    for name in ("const", "default"):
        if name in schema:
            return schema[name]
    if schema.get("enum"):
        return schema["enum"][0]
    for name in ("anyOf", "oneOf"):
        if schema.get(name):
            return smallest(schema[name][0], root, depth - 1)
    if schema.get("allOf"):
        parts = [smallest(part, root, depth - 1) for part in schema["allOf"]]
        merged = [part for part in parts if isinstance(part, dict)]
        return {name: value for part in merged for name, value in part.items()} if merged else parts[0]
    return _of_type(schema, root, depth)


def _of_type(schema: dict[str, Any], root: Mapping[str, Any], depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else None)
    match kind[0] if isinstance(kind, list) and kind else kind:
        case "object":
            properties = schema.get("properties") or {}
            return {
                name: smallest(properties.get(name), root, depth - 1) for name in schema.get("required") or ()
            }
        case "array":
            return [smallest(schema.get("items"), root, depth - 1)] * (schema.get("minItems") or 0)
        case "string":
            return "x" * (schema.get("minLength") or 0)
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return False
        case _:
            return None


def _number(schema: dict[str, Any]) -> float:
    """0, or what is nearest to it within the bounds."""
    low = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
    high = schema.get("maximum", schema.get("exclusiveMaximum", 1) - 1)
    nearest: float = max(low, min(high, 0))
    return nearest


def _target(root: Mapping[str, Any], reference: object) -> object:
    found: object = root
    for step in str(reference).removeprefix("#").split("/")[1:]:
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found
