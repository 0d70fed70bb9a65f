"""What Gemini refuses in a request that its parser could read, and the words it does so in.

Texts: ai.google.dev (troubleshooting, thought signatures) and answers of the live service.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

import orjson

from tests.fakes.gemini_proto import error
from tests.fakes.upstream import Json

SKIP = "skip_thought_signature_validator"
_NAME = re.compile(r"[A-Za-z_][\w.:-]{0,127}")
_RANGES = {
    "temperature": (0, 2),
    "topP": (0, 1),
    "candidateCount": (1, 8),
    "logprobs": (0, 20),
    "maxOutputTokens": (1, 65536),
}
_FORMATS = {"STRING": ("enum", "date-time"), "NUMBER": ("float", "double"), "INTEGER": ("int32", "int64")}
_REQUEST = "* GenerateContentRequest"


def generation(model: str) -> int:
    """The major version in a model's name."""
    found = re.match(r"gemini-(\d+)", model)
    return int(found[1]) if found else 2


def check_request(request: Json, model: str) -> None:
    """Raise `Rejected` at the first thing the service would refuse in a decoded request."""
    contents = request.get("contents")
    if not contents:
        raise error(f"{_REQUEST}.contents: contents is not specified")
    for index, content in enumerate(contents):
        _content(content, f"contents[{index}]")
    if system := request.get("systemInstruction"):
        _content(system, "system_instruction", system=True)
    _turns(contents)
    _tools(request)
    _config(request, model)
    if generation(model) >= 3:
        _signatures(contents, model)


def sign(model: str, call: Json) -> str:
    """The signature that ``model`` gives a function call: it holds for that call and model only."""
    parts = [model, call["name"], call.get("args", {})]
    return base64.b64encode(
        hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).digest()
    ).decode()


def _content(content: Json, path: str, *, system: bool = False) -> None:
    if not system and content.get("role", "user") not in ("user", "model"):
        raise error("Please use a valid role: user, model.")
    if not content.get("parts"):
        raise error(f"{_REQUEST}.{path}.parts: contents.parts must not be empty.")
    for index, part in enumerate(content["parts"]):
        kinds = part.keys() - {"thought", "thoughtSignature"}
        where = f"{_REQUEST}.{path}.parts[{index}]"
        if not kinds or (kinds == {"text"} and not part["text"] and "thoughtSignature" not in part):
            raise error(f"{where}.data: required oneof field 'data' must have one initialized field")
        if len(kinds) > 1:
            raise error(
                f"Invalid value at '{path}.parts[{index}]' (oneof), oneof field 'data' is already set."
            )
        if system and kinds != {"text"}:
            raise error(f"{where}: system instruction supports text only.")
        if "inlineData" in part and not {"mimeType", "data"} <= part["inlineData"].keys():
            raise error(f"{where}.inline_data: mime_type and data must be set.")
        for kind in ("functionCall", "functionResponse"):
            if kind in part and not part[kind].get("name"):
                field = kind.replace("C", "_c").replace("R", "_r")
                raise error(f"{where}.{field}.name: Name cannot be empty.")


def _of(content: Json | None, kind: str) -> list[Json]:
    return [part for part in content["parts"] if kind in part] if content else []


def _turns(contents: list[Json]) -> None:
    previous: Json | None = None
    for content in [*contents, None]:
        called, answered = _of(previous, "functionCall"), _of(content, "functionResponse")
        if (
            content is not None
            and _of(content, "functionCall")
            and (previous is None or previous.get("role") == "model")
        ):
            text = "Please ensure that function call turn comes immediately after a user turn or after a"
            raise error(f"{text} function response turn.")
        if len(called) != len(answered) and (content is not None or called):
            text = "Please ensure that the number of function response parts is equal to the number of"
            raise error(f"{text} function call parts of the function call turn.")
        names = sorted(part["functionCall"]["name"] for part in called)
        if names != sorted(part["functionResponse"]["name"] for part in answered):
            raise error(
                "Please ensure that function response names match the function call names of the turn."
            )
        previous = content


def _tools(request: Json) -> None:
    declared = [d for tool in request.get("tools", ()) for d in tool.get("functionDeclarations", ())]
    for index, function in enumerate(declared):
        path = f"{_REQUEST}.tools[0].function_declarations[{index}]"
        if not _NAME.fullmatch(function.get("name", "")):
            rule = "Invalid function name. Must start with a letter or an underscore. Must be alphanumeric"
            raise error(
                f"{path}.name: {rule} (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:) or dashes (-)."
            )
        if {"parameters", "parametersJsonSchema"} <= function.keys():
            raise error(f"{path}: parameters and parameters_json_schema must not both be set.")
        _schema(function.get("parameters"), f"{path}.parameters")
    names = [function["name"] for function in declared]
    if len(set(names)) != len(names):
        raise error("Duplicate function declaration found.")
    calling = request.get("toolConfig", {}).get("functionCallingConfig", {})
    allowed = calling.get("allowedFunctionNames", [])
    if allowed and calling.get("mode") not in ("ANY", "VALIDATED"):
        raise error(
            "Function calling config: allowed_function_names can only be set when mode is ANY or VALIDATED."
        )
    if unknown := [name for name in allowed if name not in names]:
        raise error(f"Function calling config: allowed_function_names: {unknown[0]} is not declared.")
    if calling.get("mode") in ("ANY", "VALIDATED") and not names:
        raise error("Function calling config is set without function_declarations.")


def _schema(schema: Any, path: str) -> None:
    if schema is None:
        return
    kind, properties = schema.get("type"), schema.get("properties", {})
    if kind == "OBJECT" and not properties:
        raise error(f"{path}.properties: should be non-empty for OBJECT type")
    if kind == "ARRAY" and "items" not in schema:
        raise error(f"{path}.items: missing field.")
    if "enum" in schema and kind != "STRING":
        raise error(f"{path}.enum: only allowed for STRING type")
    if "format" in schema and schema["format"] not in _FORMATS.get(str(kind), ()):
        raise error(f"{path}.format: only 'enum' and 'date-time' are supported for STRING type")
    for index, name in enumerate(schema.get("required", ())):
        if name not in properties:
            raise error(f"{path}.required[{index}]: property is not defined")
    for name, child in properties.items():
        _schema(child, f"{path}.properties[{name}]")
    for child in [schema.get("items"), *schema.get("anyOf", ())]:
        _schema(child, f"{path}.items")


def _config(request: Json, model: str) -> None:
    config = request.get("generationConfig", {})
    for name, (low, high) in _RANGES.items():
        if name in config and not low <= config[name] <= high:
            raise error(f"{_REQUEST}.generation_config.{name}: {name} must be in the range [{low}, {high}].")
    if len(config.get("stopSequences", ())) > 5:
        raise error("The number of stop sequences must not exceed 5.")
    mime = config.get("responseMimeType", "text/plain")
    if mime not in ("text/plain", "application/json", "text/x.enum"):
        rule = "allowed mimetypes are `text/plain`, `application/json`."
        raise error(f"{_REQUEST}.generation_config.response_mime_type: {rule}")
    if {"responseSchema", "responseJsonSchema"} <= config.keys():
        raise error("generation_config: response_schema and response_json_schema must not both be set.")
    if config.keys() & {"responseSchema", "responseJsonSchema"} and mime == "text/plain":
        raise error("Response schema is only supported with response mime type 'application/json'.")
    _schema(config.get("responseSchema"), f"{_REQUEST}.generation_config.response_schema")
    if mime == "application/json" and request.get("tools") and generation(model) < 3:
        raise error("Function calling with a response mime type: 'application/json' is unsupported")
    if "logprobs" in config and not config.get("responseLogprobs"):
        raise error("logprobs may only be set when response_logprobs is true.")
    _thinking(config.get("thinkingConfig", {}), model)


def _thinking(config: Json, model: str) -> None:
    if {"thinkingBudget", "thinkingLevel"} <= config.keys():
        raise error("You can only set only one of thinking budget and thinking level.")
    if "thinkingLevel" in config and generation(model) < 3:
        raise error("Thinking level is not supported for this model.")
    budget = config.get("thinkingBudget", -1)
    if budget == 0 and "2.5-pro" in model:
        raise error("Budget 0 is invalid. This model only works in thinking mode.")
    if not -1 <= budget <= 32768:
        raise error(f"The thinking budget {budget} is invalid. Please choose a value between 0 and 24576.")


def _signatures(contents: list[Json], model: str) -> None:
    """In the current turn the first function call of every step comes back with its signature."""
    start = max(
        (
            index
            for index, c in enumerate(contents)
            if c.get("role") != "model" and not _of(c, "functionResponse")
        ),
        default=0,
    )
    for index in range(start, len(contents)):
        for place, part in enumerate(_of(contents[index], "functionCall")):
            signature, name = part.get("thoughtSignature"), part["functionCall"]["name"]
            if signature is None and place == 0:
                text = (
                    "Function call is missing a thought_signature in functionCall parts. This is required "
                    "for tools to work correctly, and its lack may lead to degraded model performance. "
                    f"Additional data, function call `default_api:{name}`, position {index + 1}."
                )
                raise error(text)
            if signature not in (None, SKIP, sign(model, part["functionCall"])):
                raise error("Corrupted thought signature.")
