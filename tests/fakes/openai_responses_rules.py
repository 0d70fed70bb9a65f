"""What OpenAI accepts in a Responses request: parameters, items, tools and formats."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tests.fakes.openai_errors import empty_array, error, known, missing, name_rule, one_of, wrong_type
from tests.fakes.openai_rules import reasons, strict_schema
from tests.fakes.upstream import Json

_FIELDS = frozenset(
    {"model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning"}
    | {"max_output_tokens", "previous_response_id", "conversation", "store", "include", "truncation"}
    | {"metadata", "temperature", "top_p", "top_logprobs", "service_tier", "stream", "stream_options"}
    | {"background", "max_tool_calls", "prompt", "user", "safety_identifier", "context_management"}
    | {"prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"}
)
_BOOLEANS = ("stream", "store", "parallel_tool_calls", "background")
_ITEM_FIELDS: Mapping[str, frozenset[str]] = {
    "message": frozenset({"type", "id", "role", "content", "status", "phase"}),
    "function_call": frozenset({"type", "id", "call_id", "name", "arguments", "status"}),
    "function_call_output": frozenset({"type", "id", "call_id", "output", "status"}),
    "reasoning": frozenset({"type", "id", "summary", "content", "encrypted_content", "status"}),
    "item_reference": frozenset({"type", "id"}),
}
_PARTS = {
    "user": ("input_text", "input_image", "input_file", "input_audio"),
    "system": ("input_text",),
    "developer": ("input_text",),
    "assistant": ("output_text", "refusal"),
}
_HOSTED = ("web_search", "file_search", "code_interpreter", "mcp")
_PREFIXES = {"message": "msg", "function_call": "fc", "function_call_output": "fc", "reasoning": "rs"}
_LONGEST_CALL_ID = 64


def check_response_request(body: Json, stored: Mapping[str, Json]) -> None:
    """Raise `Rejected` at the first thing the service would refuse. ``stored``: responses by their id."""
    for name in body:
        if name not in _FIELDS:
            raise error(f"Unknown parameter: '{name}'.", "unknown_parameter", name)
    for name in _BOOLEANS:
        if body.get(name) is not None and type(body[name]) is not bool:
            raise wrong_type(name, "a boolean", body[name])
    limit = body.get("max_output_tokens")
    if limit is not None and (type(limit) is not int or limit < 16):
        text = f"Expected a value >= 16, but got {limit} instead."
        name = "max_output_tokens"
        raise error(f"Invalid '{name}': integer below minimum value. {text}", "integer_below_min_value", name)
    if body.get("stream_options") is not None:
        known(body["stream_options"], {"include_obfuscation"}, "stream_options")
    before = body.get("previous_response_id")
    if before is not None and before not in stored:
        text = f"Previous response with id '{before}' not found."
        raise error(text, "previous_response_not_found", "previous_response_id")
    _input(body.get("input"), stored.get(before or "", {}))
    _tools(body)
    _text(body.get("text") or {})
    if (body.get("reasoning") or {}).get("effort") is not None and not reasons(body["model"]):
        text = "Unsupported parameter: 'reasoning.effort' is not supported with this model."
        raise error(text, "unsupported_parameter", "reasoning.effort")


def _input(given: Any, before: Json) -> None:
    if isinstance(given, str):
        return
    if given is None:
        raise missing("input")
    if not isinstance(given, list):
        raise wrong_type("input", "one of a string or array of input items", given)
    if not given:
        raise empty_array("input")
    calls = {item["call_id"] for item in before.get("output", ()) if item["type"] == "function_call"}
    answered: set[str] = set()
    for index, item in enumerate(given):
        path = f"input[{index}]"
        kind = item.get("type", "message")
        one_of(f"{path}.type", kind, tuple(_ITEM_FIELDS))
        known(item, _ITEM_FIELDS[kind], path)
        _id(item, kind, path)
        if kind == "message":
            _message(item, path)
        elif kind == "function_call":
            calls.add(_call_id(item, path))
            if not isinstance(item.get("arguments"), str):
                raise wrong_type(f"{path}.arguments", "a string", item.get("arguments"))
        elif kind == "function_call_output":
            answered.add(_call_id(item, path))
            if item["call_id"] not in calls:
                text = f"No tool call found for function call output with call_id {item['call_id']}."
                raise error(text, None, "input")
        elif kind == "reasoning" and item.get("encrypted_content") not in (None, "gAAAA-fake"):
            raise error("The encrypted content could not be verified.", "invalid_encrypted_content", None)
    if left := calls - answered:
        raise error(f"No tool output found for function call {min(left)}.", None, "input")


def _id(item: Json, kind: str, path: str) -> None:
    """An id is optional, and those of reasoning are looked up."""
    given = item.get("id")
    if given is None:
        return
    prefix = _PREFIXES.get(kind, "")
    if not given.startswith(prefix):
        text = f"Invalid '{path}.id': '{given}'. Expected an ID that begins with '{prefix}'."
        raise error(text, "invalid_value", f"{path}.id")
    if kind == "reasoning" and not re.fullmatch(r"rs_\d{20}", given):
        raise error(f"Item with id '{given}' not found.", None, "input", status=404)


def _call_id(item: Json, path: str) -> str:
    call_id = item.get("call_id")
    if not isinstance(call_id, str):
        raise missing(f"{path}.call_id")
    if len(call_id) > _LONGEST_CALL_ID:
        text = f"Expected a string with maximum length 64, but got a string with length {len(call_id)}."
        raise error(f"Invalid '{path}.call_id': string too long. {text}", "string_above_max_length", path)
    return call_id


def _message(item: Json, path: str) -> None:
    role = item.get("role")
    one_of(f"{path}.role", role, tuple(_PARTS))
    content = item.get("content")
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        raise wrong_type(f"{path}.content", "one of a string or array of content parts", content)
    for place, part in enumerate(content):
        one_of(f"{path}.content[{place}].type", part.get("type"), _PARTS[str(role)])


def _tools(body: Json) -> None:
    for index, tool in enumerate(body.get("tools") or ()):
        path = f"tools[{index}]"
        one_of(f"{path}.type", tool.get("type"), ("function", "custom", *_HOSTED))
        if tool["type"] != "function":
            continue
        known(tool, {"type", "name", "description", "parameters", "strict"}, path)
        name_rule(tool.get("name"), f"{path}.name")
        if tool.get("strict"):
            strict_schema(tool.get("parameters"), f"function '{tool['name']}'", f"{path}.parameters")
    choice = body.get("tool_choice")
    if isinstance(choice, str):
        one_of("tool_choice", choice, ("none", "auto", "required"))
        return
    named = (choice or {}).get("name")
    if named is not None and named not in [tool.get("name") for tool in body.get("tools") or ()]:
        raise error(f"Tool choice '{named}' not found in 'tools' parameter.", None, "tool_choice")


def _text(text: Json) -> None:
    known(text, {"format", "verbosity"}, "text")
    wanted = text.get("format")
    if wanted is None:
        return
    one_of("text.format.type", wanted.get("type"), ("text", "json_object", "json_schema"))
    if wanted["type"] == "json_schema":
        known(wanted, {"type", "name", "description", "schema", "strict"}, "text.format")
        name_rule(wanted.get("name"), "text.format.name")
        if wanted.get("strict"):
            strict_schema(wanted.get("schema"), f"response_format '{wanted['name']}'", "text.format.schema")
