"""The smallest JSON value that a JSON Schema allows, as far as an echo needs it."""

from __future__ import annotations

from math import inf
from typing import Any

_DEPTH = 16
_NODES = 1000
_LENGTH = 1000


def smallest(schema: object) -> Any:
    """A value valid under ``schema``: its constant, first choice or shortest form; None for no schema.

    ``pattern``, ``format`` and ``multipleOf`` are not looked at, and ``$ref`` only leads into the schema
    itself. The value is never deep or large: clients send schemas without an end.
    """
    try:
        return _Builder(schema).value(schema, _DEPTH)
    except (AttributeError, IndexError, TypeError):  # not what JSON Schema looks like
        return None


class _Builder:
    def __init__(self, root: object) -> None:
        self._root = root
        self._nodes_left = _NODES

    def value(self, schema: Any, depth: int) -> Any:
        self._nodes_left -= 1
        if not isinstance(schema, dict) or depth == 0 or self._nodes_left < 0:
            return None
        if "$ref" in schema:
            return self.value(self._target(schema["$ref"]), depth - 1)
        for name in ("const", "default"):
            if name in schema:
                return schema[name]
        if schema.get("enum"):
            return schema["enum"][0]
        for name in ("anyOf", "oneOf"):
            if schema.get(name):
                return self.value(schema[name][0], depth - 1)
        if schema.get("allOf"):
            return self._merged([self.value(part, depth - 1) for part in schema["allOf"]])
        return self._of_type(schema, depth)

    def _of_type(self, schema: dict[str, Any], depth: int) -> Any:
        kind = schema.get("type", "object" if "properties" in schema else None)
        match kind[0] if isinstance(kind, list) else kind:
            case "object":
                of = schema.get("properties") or {}
                return {name: self.value(of.get(name), depth - 1) for name in schema.get("required") or ()}
            case "array":
                count = min(schema.get("minItems") or 0, max(self._nodes_left, 0))
                return [self.value(schema.get("items"), depth - 1) for _ in range(count)]
            case "string":
                return "x" * min(schema.get("minLength") or 0, _LENGTH)
            case "integer" | "number":
                low = schema.get("minimum", schema.get("exclusiveMinimum", -inf) + 1)
                high = schema.get("maximum", schema.get("exclusiveMaximum", inf) - 1)
                return max(low, min(high, 0))
            case "boolean":
                return False
            case _:
                return None

    def _merged(self, parts: list[Any]) -> Any:
        objects = [part for part in parts if isinstance(part, dict)]
        return {name: value for part in objects for name, value in part.items()} if objects else parts[0]

    def _target(self, reference: str) -> Any:
        found: Any = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            found = found.get(step.replace("~1", "/").replace("~0", "~"))
        return found
