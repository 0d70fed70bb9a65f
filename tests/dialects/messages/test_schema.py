"""Schemas in the subset that structured outputs take."""

from gateway.dialects.messages.schema import supported


def test_what_cannot_be_enforced_is_told() -> None:
    schema = {"type": "integer", "description": "An age.", "minimum": 0, "maximum": 150, "default": None}
    assert supported(schema) == {
        "type": "integer",
        "description": "An age.\n\n{minimum: 0, maximum: 150, default: null}",
    }


def test_objects_are_closed_at_every_depth() -> None:
    inner = {
        "type": ["object", "null"],
        "properties": {"a": {"type": "string", "format": "uuid", "pattern": "x"}},
    }
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "list": {"type": "array", "items": inner, "minItems": 1, "maxItems": 9},
            "ref": {"$ref": "#/$defs/d"},
        },
        "required": ["list"],
        "additionalProperties": {"type": "string"},
        "$defs": {"d": {"oneOf": [{"const": 1}, {"enum": ["a"]}]}},
    }
    assert supported(schema) == {
        "type": "object",
        "properties": {
            "list": {
                "type": "array",
                "items": {
                    "type": ["object", "null"],
                    "properties": {
                        "a": {"type": "string", "format": "uuid", "description": '{pattern: "x"}'}
                    },
                    "additionalProperties": False,
                },
                "minItems": 1,
                "description": "{maxItems: 9}",
            },
            "ref": {"$ref": "#/$defs/d"},
        },
        "required": ["list"],
        "$defs": {"d": {"anyOf": [{"const": 1}, {"enum": ["a"]}]}},
        "additionalProperties": False,
    }


def test_the_names_of_properties_are_no_keywords() -> None:
    schema = {"type": "object", "properties": {"pattern": {"type": "string"}, "oneOf": True}}
    assert supported(schema)["properties"] == {"pattern": {"type": "string"}, "oneOf": True}
