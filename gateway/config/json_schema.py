"""The JSON Schema of the configuration file, for editors; run as a module it prints ``schema.json``."""

from __future__ import annotations

import sys
from typing import Any

import orjson

from gateway.config.schema import DERIVED, Config

_REFERENCE = {"type": "string", "pattern": r"\$\{", "description": "${VAR}, ${VAR:-default} or ${file:PATH}"}
_NUMERIC = {"integer", "number", "boolean"}

Schema = dict[str, Any]


def document() -> Schema:
    """The schema of the file as it may be written: with substitution, nulls and the older forms."""
    schema = Config.model_json_schema()
    definitions = schema["$defs"]
    for name, derived in DERIVED.items():
        definitions[name]["required"] = [
            field for field in definitions[name]["required"] if field not in derived
        ]
    _add_older_forms(schema, definitions)
    for section in (schema, *definitions.values()):
        properties = section.get("properties", {})
        section["properties"] = {name: _nullable(_written(value)) for name, value in properties.items()}
    definitions["Reference"] = _REFERENCE
    schema["title"] = "COO-LLM configuration"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema


def _add_older_forms(schema: Schema, definitions: dict[str, Schema]) -> None:
    key, provider = definitions["KeyConfig"], definitions["ProviderConfig"]
    secret = {"secret": key["properties"]["key"]}
    keys = {"type": "array", "items": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/OlderKey"}]}}
    definitions["OlderKey"] = {**key, "properties": key["properties"] | secret, "required": []}
    definitions["OlderProvider"] = {**provider, "properties": provider["properties"] | {"keys": keys}}
    schema["properties"]["providers"] = {
        "type": "array",
        "items": {"$ref": "#/$defs/OlderProvider"},
        "minItems": 1,
        "deprecated": True,
    }
    schema["anyOf"] = [{"required": ["llm_providers"]}, {"required": ["providers"]}]
    del schema["required"]
    policy = definitions["Policy"]["properties"]
    policy["strategy"] = policy["algorithm"] | {"deprecated": True}


def _written(schema: Schema) -> Schema:
    """As it may stand in the file: in place of anything but text, a reference to a variable."""
    schema = {name: value for name, value in schema.items() if name != "title"}
    if "anyOf" in schema:
        schema["anyOf"] = [_written(choice) for choice in schema["anyOf"]]
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            schema[inner] = _written(schema[inner])
    typed = schema.get("type") in _NUMERIC or "enum" in schema or "const" in schema or "pattern" in schema
    if typed or schema.get("format") == "uri":
        outer = {name: schema.pop(name) for name in ("default", "deprecated") if name in schema}
        return {"anyOf": [schema, {"$ref": "#/$defs/Reference"}]} | outer
    return schema


def _nullable(schema: Schema) -> Schema:
    """Null is as good as absent."""
    if "anyOf" not in schema:
        outer = {name: schema.pop(name) for name in ("default", "deprecated") if name in schema}
        return {"anyOf": [schema, {"type": "null"}]} | outer
    if {"type": "null"} not in schema["anyOf"]:
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
    return schema


if __name__ == "__main__":
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    sys.stdout.buffer.write(orjson.dumps(document(), option=options))
