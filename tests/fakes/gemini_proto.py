"""Gemini's request messages as its protobuf parser reads them: names, types, and what it says of the rest.

Either case of a field's name is taken and null means unset; what comes out has camelCase names.
Source: ai.google.dev/api/generate-content, and answers of the live service.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.fakes.upstream import Json, Rejected

_ENUMS = {
    "Mode": "MODE_UNSPECIFIED AUTO ANY NONE VALIDATED",
    "ThinkingLevel": "THINKING_LEVEL_UNSPECIFIED MINIMAL LOW MEDIUM HIGH XHIGH",
    "Type": "TYPE_UNSPECIFIED STRING NUMBER INTEGER BOOLEAN ARRAY OBJECT NULL",
    "HarmBlockThreshold": "OFF BLOCK_NONE BLOCK_ONLY_HIGH BLOCK_MEDIUM_AND_ABOVE BLOCK_LOW_AND_ABOVE",
}
_MESSAGES: Mapping[str, str] = {
    "Request": "contents:*Content systemInstruction:Content tools:*Tool toolConfig:ToolConfig "
    "generationConfig:Config safetySettings:*Safety cachedContent:str serviceTier:str labels:any store:bool "
    "model:str",
    "Content": "role:str parts:*Part",
    "Part": "text:str inlineData:Blob fileData:File functionCall:Call functionResponse:Response "
    "thought:bool thoughtSignature:str executableCode:any codeExecutionResult:any",
    "Blob": "mimeType:str data:str",
    "File": "mimeType:str fileUri:str",
    "Call": "id:str name:str args:struct",
    "Response": "id:str name:str response:struct parts:*Part willContinue:bool scheduling:str",
    "Tool": "functionDeclarations:*Declaration googleSearch:any codeExecution:any urlContext:any",
    "Declaration": "name:str description:str parameters:Schema parametersJsonSchema:any response:Schema "
    "responseJsonSchema:any behavior:str",
    "ToolConfig": "functionCallingConfig:Calling retrievalConfig:any",
    "Calling": "mode:enum.Mode allowedFunctionNames:*str",
    "Safety": "category:str threshold:enum.HarmBlockThreshold",
    "Config": "temperature:float topP:float topK:int candidateCount:int maxOutputTokens:int "
    "stopSequences:*str presencePenalty:float "
    "frequencyPenalty:float seed:int responseMimeType:str responseSchema:Schema "
    "responseJsonSchema:any responseModalities:*str responseLogprobs:bool logprobs:int mediaResolution:str "
    "speechConfig:any imageConfig:any thinkingConfig:Thinking",
    "Thinking": "includeThoughts:bool thinkingBudget:int thinkingLevel:enum.ThinkingLevel",
    "Schema": "type:enum.Type format:str title:str description:str nullable:bool enum:*str minItems:int "
    "maxItems:int properties:map.Schema required:*str minProperties:int maxProperties:int minLength:int "
    "maxLength:int pattern:str example:any anyOf:*Schema propertyOrdering:*str default:any items:Schema "
    "minimum:float maximum:float",
    "Embed": "model:str content:Content taskType:str title:str outputDimensionality:int",
    "EmbedBatch": "requests:*Embed",
    "Count": "contents:*Content generateContentRequest:Request",
}
_FIELDS = {kind: dict(field.split(":") for field in fields.split()) for kind, fields in _MESSAGES.items()}
_SCALARS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "str": ("TYPE_STRING", lambda value: isinstance(value, str)),
    "bool": ("TYPE_BOOL", lambda value: isinstance(value, bool)),
    "int": ("TYPE_INT32", lambda value: isinstance(value, int | float) and value == int(value)),
    "float": ("TYPE_FLOAT", lambda value: isinstance(value, int | float) and not isinstance(value, bool)),
}


def error(message: str, status: int = 400, name: str = "INVALID_ARGUMENT", *details: Json) -> Rejected:
    """A refusal in Google's shape."""
    body: Json = {"code": status, "message": message, "status": name}
    return Rejected(status, {"error": {**body, "details": list(details)} if details else body})


def decode(kind: str, value: Any, path: str = "") -> Any:
    """``value`` as a message or scalar of ``kind``, found at ``path``. Raises `Rejected`."""
    if kind.startswith("*"):
        if not isinstance(value, list):
            raise _unknown(path.rpartition(".")[2], path.rpartition(".")[0], "Expected a list.")
        return [decode(kind[1:], item, f"{path}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, list) and kind != "any":
        raise _unknown(
            path.rpartition(".")[2],
            path.rpartition(".")[0],
            "Proto field is not repeating, cannot start list.",
        )
    if kind.startswith("map."):
        return {
            name: decode(kind[4:], item, f"{path}[{index}].value")
            for index, (name, item) in enumerate(value.items())
        }
    if kind in _FIELDS:
        return _message(_FIELDS[kind], value, path)
    if kind.startswith("enum."):
        return _enum(kind[5:], value, path)
    if kind == "struct" and not isinstance(value, dict):
        raise error(
            f"Invalid value at '{path}' (type.googleapis.com/google.protobuf.Struct), {_shown(value)}"
        )
    if kind in _SCALARS and not _SCALARS[kind][1](value):
        raise error(f"Invalid value at '{path}' ({_SCALARS[kind][0]}), {_shown(value)}")
    return value


def _message(fields: Mapping[str, str], value: Any, path: str) -> Json:
    if not isinstance(value, dict):
        raise error(f"Invalid value at '{path}', {_shown(value)}")
    found: Json = {}
    for given, item in value.items():
        name = re.sub(r"_([a-z])", lambda m: m[1].upper(), given)
        if name not in fields:
            raise _unknown(given, path, "Cannot find field.")
        if item is not None:
            found[name] = decode(fields[name], item, f"{path}.{_snake(name)}".lstrip("."))
    return found


def _enum(kind: str, value: Any, path: str) -> str:
    text = str(value).upper() if kind == "Type" else value
    if text not in _ENUMS[kind].split():
        full = f"type.googleapis.com/google.ai.generativelanguage.v1beta.{kind}"
        raise error(f"Invalid value at '{path}' ({full}), {_shown(value)}")
    return str(text)


def _unknown(name: str, path: str, why: str) -> Rejected:
    where = f" at '{path}'" if path else ""
    text = f'Invalid JSON payload received. Unknown name "{name}"{where}: {why}'
    violation = {"field": path, "description": text}
    return error(
        text,
        400,
        "INVALID_ARGUMENT",
        {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]},
    )


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda m: "_" + m[0].lower(), name)


def _shown(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()
