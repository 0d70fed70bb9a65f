"""The smallest JSON value that fits a JSON Schema (the subset that tool and answer schemas use)."""

from __future__ import annotations

from typing import Any


def instance(schema: Any, root: Any = None) -> Any:
    """A value that fits ``schema``: required properties only, the first of every alternative."""
    root = schema if root is None else root
    if not isinstance(schema, dict):
        return {}
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    if "enum" in schema:
        return schema["enum"][0]
    if "$ref" in schema:
        return instance(_resolve(schema["$ref"], root), root)
    for keyword in ("anyOf", "oneOf", "allOf"):
        if schema.get(keyword):
            return instance(schema[keyword][0], root)
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    return _typed(kind.lower(), schema, root)


def _typed(kind: str, schema: dict[str, Any], root: Any) -> Any:
    if kind == "object":
        properties = schema.get("properties", {})
        names = schema.get("required", [])
        return {name: instance(properties.get(name, {"type": "string"}), root) for name in names}
    if kind == "array":
        return [instance(schema.get("items", {}), root)] * int(schema.get("minItems", 0))
    if kind == "string":
        return "x" * max(int(schema.get("minLength", 1)), 1)
    if kind in ("integer", "number"):
        return schema.get("minimum", 0)
    return {"boolean": False, "null": None}[kind]


def _resolve(reference: str, root: Any) -> Any:
    found = root
    for name in reference.removeprefix("#/").split("/"):
        found = found[name] if name not in ("", "#") else found
    return found
