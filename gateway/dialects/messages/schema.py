"""JSON Schema cut down to what Anthropic's structured outputs and strict tools accept.

The rules are those of Anthropic's "Structured outputs" page and of ``transform_schema`` in its SDKs:
objects are closed, ``oneOf`` is read as ``anyOf``, and a keyword that cannot be enforced is told to the
model in the description instead.
"""

from __future__ import annotations

from typing import Any

import orjson

_KEPT = frozenset({"$ref", "type", "enum", "const", "title", "required"})
_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)
_MAPS = frozenset({"$defs", "definitions", "properties"})
_LISTS = {"anyOf": "anyOf", "oneOf": "anyOf", "allOf": "allOf"}
_SILENT = frozenset({"$schema", "$id", "$comment", "additionalProperties", "description"})


def supported(schema: Any) -> Any:
    """``schema`` in the supported subset; what is not an object comes back as it is."""
    if not isinstance(schema, dict):
        return schema
    result: dict[str, Any] = {}
    told: list[str] = []
    for key, value in schema.items():
        if key in _KEPT:
            result[key] = value
        elif key in _MAPS and isinstance(value, dict):
            result[key] = {name: supported(entry) for name, entry in value.items()}
        elif key in _LISTS and isinstance(value, list):
            result.setdefault(_LISTS[key], []).extend([supported(entry) for entry in value])
        elif key == "items" and isinstance(value, dict):
            result[key] = supported(value)
        elif (key == "format" and value in _FORMATS) or (key == "minItems" and value in (0, 1)):
            result[key] = value
        elif key not in _SILENT:
            told.append(f"{key}: {orjson.dumps(value).decode()}")
    kind = result.get("type")
    if kind == "object" or "properties" in result or (isinstance(kind, list) and "object" in kind):
        result["additionalProperties"] = False
    description = schema.get("description")
    texts = [description] if isinstance(description, str) and description else []
    if told:
        texts.append("{" + ", ".join(told) + "}")
    if texts:
        result["description"] = "\n\n".join(texts)
    return result
