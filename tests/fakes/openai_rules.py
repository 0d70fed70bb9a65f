"""What OpenAI accepts in a chat completion request: parameters, tools, formats, and what each model takes."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from tests.fakes.openai_errors import empty_array, error, known, missing, name_rule, one_of, wrong_type
from tests.fakes.openai_messages import check_message, check_tool_turns
from tests.fakes.upstream import Json

_INTEGERS: Mapping[str, tuple[int | None, int | None]] = {
    "max_tokens": (1, None),
    "max_completion_tokens": (1, None),
    "n": (1, 128),
    "top_logprobs": (0, 20),
    "seed": (None, None),
}
_DECIMALS = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
}
_BOOLEANS = ("stream", "logprobs", "parallel_tool_calls", "store")
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_TIERS = ("auto", "default", "flex", "scale", "priority", "fast")
_ENUMS = {"reasoning_effort": _EFFORTS, "verbosity": ("low", "medium", "high"), "service_tier": _TIERS}
_FIELDS = frozenset(
    {*_INTEGERS, *_DECIMALS, *_BOOLEANS, *_ENUMS}
    | {"model", "messages", "stop", "stream_options", "tools", "tool_choice", "response_format", "logit_bias"}
    | {"user", "safety_identifier", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"}
    | {"metadata", "modalities", "audio", "prediction", "web_search_options", "moderation"}
    | {"functions", "function_call"}
)
_REASONING_DEFAULTS = {"temperature": 1, "top_p": 1, "n": 1, "presence_penalty": 0, "frequency_penalty": 0}


def reasons(model: str) -> bool:
    """Whether ``model`` is a reasoning model: it takes no sampling parameters."""
    return bool(re.match(r"o\d|gpt-5", model))


def check_chat(body: Json) -> None:
    """Raise `Rejected` at the first thing the service would refuse."""
    known(body, _FIELDS, "")
    _scalars(body)
    messages = body.get("messages")
    if messages is None:
        raise missing("messages")
    if not isinstance(messages, list):
        raise wrong_type("messages", "an array of objects", messages)
    if not messages:
        raise empty_array("messages")
    for index, message in enumerate(messages):
        check_message(message, f"messages[{index}]")
    check_tool_turns(messages)
    _tools(body)
    _formats(body)
    _model(body)


def _scalars(body: Json) -> None:
    present = {name: value for name, value in body.items() if value is not None}
    for name in _INTEGERS.keys() & present.keys():
        if type(present[name]) is not int:
            raise wrong_type(name, "an integer", present[name])
        _range(name, present[name], "integer", _INTEGERS[name])
    for name in _DECIMALS.keys() & present.keys():
        if type(present[name]) not in (int, float):
            raise wrong_type(name, "a decimal", present[name])
        _range(name, present[name], "decimal", _DECIMALS[name])
    for name in _BOOLEANS:
        if name in present and type(present[name]) is not bool:
            raise wrong_type(name, "a boolean", present[name])
    for name in _ENUMS.keys() & present.keys():
        one_of(name, present[name], _ENUMS[name])
    stop = present.get("stop", [])
    if isinstance(stop, list) and len(stop) > 4:
        rule = f"Expected an array with maximum length 4, but got an array with length {len(stop)} instead."
        raise error(f"Invalid 'stop': array too long. {rule}", "array_above_max_length", "stop")
    if "stream_options" in present:
        if not present.get("stream"):
            text = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
            raise error(text, None, "stream_options")
        known(present["stream_options"], {"include_usage", "include_obfuscation"}, "stream_options")
    if {"max_tokens", "max_completion_tokens"} <= present.keys():
        text = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
        raise error(text, "invalid_parameter_combination", "max_tokens")


def _range(name: str, value: float, kind: str, bounds: tuple[int | None, int | None]) -> None:
    low, high = bounds
    for bound, wrong, word, sign in (
        (low, low is not None and value < low, "below_min_value", ">="),
        (high, high is not None and value > high, "above_max_value", "<="),
    ):
        if wrong:
            rule = "below minimum" if sign == ">=" else "above maximum"
            wanted = f"Expected a value {sign} {bound}, but got {value} instead."
            raise error(f"Invalid '{name}': {kind} {rule} value. {wanted}", f"{kind}_{word}", name)


def _tools(body: Json) -> None:
    tools = body.get("tools")
    if tools is None:
        for name in ("tool_choice", "parallel_tool_calls"):
            if body.get(name) not in (None, "none"):
                text = f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified."
                raise error(text, None, name)
        return
    if not tools:
        raise empty_array("tools")
    for index, tool in enumerate(tools):
        path = f"tools[{index}]"
        one_of(f"{path}.type", tool.get("type"), ("function", "custom"))
        known(tool, {"type", tool["type"]}, path)
        if tool["type"] == "function":
            known(tool["function"], {"name", "description", "parameters", "strict"}, f"{path}.function")
        name_rule(tool[tool["type"]].get("name"), f"{path}.{tool['type']}.name")
        _function_schema(tool, path)
    _tool_choice(body.get("tool_choice"), {tool[tool["type"]]["name"] for tool in tools})


def _function_schema(tool: Json, path: str) -> None:
    function = tool.get("function", {})
    schema = function.get("parameters")
    if schema is not None and schema.get("type") != "object":
        got = schema.get("type", "None")
        rule = f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{got}\"'."
        text = f"Invalid schema for function '{function['name']}': {rule}"
        raise error(text, "invalid_function_parameters", f"{path}.function.parameters")
    if function.get("strict"):
        strict_schema(schema, f"function '{function['name']}'", f"{path}.function.parameters")


def _tool_choice(choice: Any, names: Collection[str]) -> None:
    if choice is None:
        return
    if isinstance(choice, str):
        one_of("tool_choice", choice, ("none", "auto", "required"))
        return
    kind = choice.get("type")
    one_of("tool_choice.type", kind, ("function", "custom", "allowed_tools"))
    if kind != "allowed_tools" and choice[kind].get("name") not in names:
        text = f"Invalid value: 'tool_choice' names '{choice[kind].get('name')}', which is not in 'tools'."
        raise error(text, None, "tool_choice")


def strict_schema(schema: Any, what: str, path: str) -> None:
    """Structured output's rules: every object closed, every property required."""
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            rule = "'additionalProperties' is required to be supplied and to be false."
            raise error(f"Invalid schema for {what}: In context=(), {rule}", None, path)
        left_out = [name for name in schema.get("properties", {}) if name not in schema.get("required", ())]
        if left_out:
            rule = (
                "'required' is required to be supplied and to be an array including every key in properties."
            )
            text = f"Invalid schema for {what}: In context=(), {rule} Missing '{left_out[0]}'."
            raise error(text, None, path)
    for child in [*schema.get("properties", {}).values(), schema.get("items"), *schema.get("anyOf", ())]:
        strict_schema(child, what, path)


def _formats(body: Json) -> None:
    wanted = body.get("response_format")
    if wanted is None:
        return
    one_of("response_format.type", wanted.get("type"), ("text", "json_object", "json_schema"))
    if wanted["type"] == "json_object" and "json" not in str(body["messages"]).lower():
        rule = "to use 'response_format' of type 'json_object'."
        raise error(f"'messages' must contain the word 'json' in some form, {rule}", None, "messages")
    if wanted["type"] == "json_schema":
        form = wanted.get("json_schema") or {}
        known(form, {"name", "description", "schema", "strict"}, "response_format.json_schema")
        name_rule(form.get("name"), "response_format.json_schema.name")
        if form.get("strict"):
            strict_schema(form.get("schema"), f"response_format '{form['name']}'", "response_format")


def _model(body: Json) -> None:
    """What reasoning models refuse, unless (from gpt-5.1 on) reasoning is switched off."""
    model, effort = body["model"], body.get("reasoning_effort")
    if not reasons(model):
        if effort is not None:
            raise error("Unrecognized request argument supplied: reasoning_effort")
        if body.get("top_logprobs") is not None and not body.get("logprobs"):
            text = "Invalid value for 'top_logprobs': 'logprobs' must be true to use it."
            raise error(text, None, "top_logprobs")
        return
    if body.get("max_tokens") is not None:
        text = "Unsupported parameter: 'max_tokens' is not supported with this model."
        raise error(f"{text} Use 'max_completion_tokens' instead.", "unsupported_parameter", "max_tokens")
    if re.match(r"gpt-5\.[4-9]", model) and body.get("tools") and effort not in (None, "none"):
        text = (
            f"Function tools with reasoning_effort are not supported for {model} in /v1/chat/completions. "
            "To use function tools, use /v1/responses or set reasoning_effort to 'none'."
        )
        raise error(text, None, "reasoning_effort")
    if re.match(r"gpt-5\.\d", model) and effort in (None, "none"):
        return
    for name in ("stop", "logprobs", "top_logprobs", "logit_bias"):
        if body.get(name):
            text = f"Unsupported parameter: '{name}' is not supported with this model."
            raise error(text, "unsupported_parameter", name)
    for name, default in _REASONING_DEFAULTS.items():
        if body.get(name) not in (None, default):
            text = f"Unsupported value: '{name}' does not support {body[name]} with this model."
            rule = f"Only the default ({default}) value is supported."
            raise error(f"{text} {rule}", "unsupported_value", name)
