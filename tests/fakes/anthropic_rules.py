"""What Anthropic's Messages API accepts, and the words in which it refuses the rest.

Texts: docs.anthropic.com (errors, migration guides) and answers of the live service.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from tests.fakes.anthropic_models import Traits
from tests.fakes.upstream import Json, Rejected

_ID = re.compile(r"[a-zA-Z0-9_-]+")
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_FIELDS = frozenset(
    {"model", "max_tokens", "messages", "system", "tools", "tool_choice", "thinking", "output_config"}
    | {"stop_sequences", "stream", "metadata", "service_tier", "speed", "cache_control", "container"}
    | {"inference_geo", "diagnostics", "temperature", "top_p", "top_k"}
)
_COUNTED = frozenset({"model", "messages", "system", "tools", "tool_choice", "thinking", "output_config"})
_BLOCKS = {
    "text": {"type", "text", "cache_control", "citations"},
    "image": {"type", "source", "cache_control"},
    "document": {"type", "source", "cache_control", "title", "context", "citations"},
    "tool_use": {"type", "id", "name", "input", "cache_control", "caller"},
    "tool_result": {"type", "tool_use_id", "content", "is_error", "cache_control"},
    "thinking": {"type", "thinking", "signature"},
    "redacted_thinking": {"type", "data"},
}
_ROLE_BLOCKS = {
    "user": ("text", "image", "document", "tool_result"),
    "assistant": ("text", "tool_use", "thinking", "redacted_thinking"),
    "system": ("text",),
}
_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_SCHEMA_LIMITS = {
    "integer": ("minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum"),
    "number": ("minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum"),
    "string": ("minLength", "maxLength"),
    "array": ("maxItems",),
}


def error(message: str, status: int = 400, kind: str = "invalid_request_error") -> Rejected:
    """A refusal in Anthropic's shape; the server adds the ``request_id``."""
    return Rejected(status, {"type": "error", "error": {"type": kind, "message": message}})


def check_messages(body: Json, traits: Traits, *, counting: bool = False) -> None:
    """Raise `Rejected` at the first thing the service would refuse; ``counting``: for count_tokens."""
    known(body, _COUNTED if counting else _FIELDS, "")
    for name in ("model", "messages") if counting else ("model", "max_tokens", "messages"):
        if body.get(name) is None:
            raise error(f"{name}: Field required")
    messages = body["messages"]
    if not isinstance(messages, list):
        raise error("messages: Input should be a valid list")
    if not messages:
        raise error("messages: at least one message is required")
    _system(body.get("system"))
    for index, message in enumerate(messages):
        _message(message, f"messages.{index}")
    _cache_marks(body)
    _tools(body)
    if counting:
        return
    _order(messages, traits)
    _tool_turns(messages)
    if not body.get("tools") and any(_blocks(m, "tool_use", "tool_result") for m in messages):
        raise error("Requests which include `tool_use` or `tool_result` blocks must define tools")
    _scalars(body, traits)


def known(value: Json, fields: Collection[str], path: str) -> None:
    """Raise `Rejected` if ``value`` has a field that is not among ``fields``."""
    for name in value:
        if name not in fields:
            raise error(f"{path}{'.' if path else ''}{name}: Extra inputs are not permitted")


def _system(system: Any) -> None:
    if system is None or isinstance(system, str):
        return
    for index, block in enumerate(system):
        if block.get("type") != "text":
            raise error(f"system.{index}.type: Input should be 'text'")
        _block(block, ("text",), f"system.{index}")


def _message(message: Any, path: str) -> None:
    if not isinstance(message, dict):
        raise error(f"{path}: Input should be a valid dictionary or object to extract fields from")
    for name in ("role", "content"):
        if message.get(name) is None:
            raise error(f"{path}.{name}: Field required")
    known(message, {"role", "content"}, path)
    if message["role"] not in _ROLE_BLOCKS:
        raise error(f"{path}.role: Input should be 'user' or 'assistant'")
    content = message["content"]
    if isinstance(content, str):
        if not content.strip():
            raise error(f"{path}: user messages must have non-empty content")
        return
    if not isinstance(content, list) or not content:
        raise error(f"{path}.content: Input should be a valid string or a non-empty list")
    for index, block in enumerate(content):
        _block(block, _ROLE_BLOCKS[message["role"]], f"{path}.content.{index}")


def _block(block: Any, allowed: tuple[str, ...], path: str) -> None:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind not in allowed:
        tags = ", ".join(f"'{name}'" for name in allowed)
        text = f"Input tag '{kind}' found using 'type' does not match any of the expected tags: {tags}"
        raise error(f"{path}: {text}")
    known(block, _BLOCKS[kind], f"{path}.{kind}")
    if kind == "text":
        _text(block.get("text"), path)
    elif kind in ("image", "document"):
        _source(block.get("source"), kind, f"{path}.{kind}.source")
    elif kind == "tool_use":
        _id(block.get("id"), f"{path}.tool_use.id")
        if not isinstance(block.get("name"), str) or not _TOOL_NAME.fullmatch(block["name"]):
            raise error(f"{path}.tool_use.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
        if not isinstance(block.get("input"), dict):
            raise error(f"{path}.tool_use.input: Input should be a valid dictionary")
    elif kind == "tool_result":
        _id(block.get("tool_use_id"), f"{path}.tool_result.tool_use_id")
        if isinstance(content := block.get("content", ""), list):
            for index, inner in enumerate(content):
                _block(inner, ("text", "image", "document"), f"{path}.tool_result.content.{index}")
    elif kind == "thinking" and not {"thinking", "signature"} <= block.keys():
        raise error(f"{path}.thinking.signature: Field required")


def _text(text: Any, path: str) -> None:
    if not isinstance(text, str):
        raise error(f"{path}.text.text: Input should be a valid string")
    if not text:
        raise error("messages: text content blocks must be non-empty")
    if not text.strip():
        raise error("messages: text content blocks must contain non-whitespace text")


def _source(source: Any, kind: str, path: str) -> None:
    shapes = {"base64": {"type", "media_type", "data"}, "url": {"type", "url"}, "file": {"type", "file_id"}}
    if not isinstance(source, dict) or source.get("type") not in shapes:
        raise error(f"{path}: Input tag does not match any of the expected tags: 'base64', 'url', 'file'")
    known(source, shapes[source["type"]], f"{path}.{source['type']}")
    allowed = _IMAGES if kind == "image" else ("application/pdf",)
    if source["type"] == "base64" and source.get("media_type") not in allowed:
        listed = " or ".join(f"'{name}'" for name in allowed)
        raise error(f"{path}.base64.media_type: Input should be {listed}")
    if source["type"] == "url" and not str(source.get("url")).startswith(("https://", "http://")):
        raise error(f"{path}.url.url: Only HTTPS URLs are supported.")


def _id(value: Any, path: str) -> None:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise error(f"{path}: String should match pattern '^[a-zA-Z0-9_-]+$'")


def _cache_marks(body: Json) -> None:
    marks = _marks([body.get("system"), body.get("tools"), body["messages"]]) + ("cache_control" in body)
    if marks > 4:
        raise error(f"A maximum of 4 blocks with cache_control may be provided. Found {marks}.")


def _marks(value: Any) -> int:
    if isinstance(value, dict):
        return ("cache_control" in value) + sum(_marks(item) for item in value.values())
    return sum(map(_marks, value)) if isinstance(value, list) else 0


def _tools(body: Json) -> None:
    tools = body.get("tools") or []
    for index, tool in enumerate(tools):
        path = f"tools.{index}.custom"
        known(tool, {"name", "description", "input_schema", "strict", "cache_control", "type"}, path)
        if not isinstance(tool.get("name"), str) or not _TOOL_NAME.fullmatch(tool["name"]):
            raise error(f"{path}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
        if not isinstance(tool.get("input_schema"), dict):
            raise error(f"{path}.input_schema: Field required")
        if tool["input_schema"].get("type") != "object":
            raise error(f"{path}.input_schema.type: Field required")
    names = [tool["name"] for tool in tools]
    if len(set(names)) != len(names):
        raise error("tools: Tool names must be unique.")
    choice = body.get("tool_choice")
    if choice is None:
        return
    if not tools:
        raise error("tool_choice: may only be specified while providing tools")
    extra = {"auto": set[str](), "any": set[str](), "none": set[str](), "tool": {"name"}}
    if choice.get("type") not in extra:
        raise error(
            "tool_choice: Input tag does not match any of the expected tags: 'auto', 'any', 'tool', 'none'"
        )
    allowed = (
        {"type"}
        | extra[choice["type"]]
        | ({"disable_parallel_tool_use"} if choice["type"] != "none" else set())
    )
    known(choice, allowed, f"tool_choice.{choice['type']}")
    if choice["type"] == "tool" and choice.get("name") not in names:
        raise error(f"Tool '{choice.get('name')}' not found in provided tools")


def _order(messages: list[Json], traits: Traits) -> None:
    if messages[0]["role"] == "assistant":
        raise error('messages: first message must use the "user" role')
    for index, message in enumerate(messages):
        if message["role"] == "system":
            if not traits.system_turns:
                raise error(f"messages.{index}.role: role 'system' is not supported on this model")
            if index == 0 or messages[index - 1]["role"] != "user":
                raise error(f"messages.{index}.role: a system message must directly follow a user message")
    last = messages[-1]
    if last["role"] == "assistant":
        if not traits.prefill:
            rule = "The conversation must end with a user message."
            raise error(f"This model does not support assistant message prefill. {rule}")
        text = last["content"] if isinstance(last["content"], str) else last["content"][-1].get("text", "x")
        if text != text.rstrip():
            raise error("messages: final assistant content cannot end with trailing whitespace")


def _blocks(message: Json, *kinds: str) -> list[Json]:
    content = message["content"]
    return [] if isinstance(content, str) else [block for block in content if block["type"] in kinds]


def _tool_turns(messages: list[Json]) -> None:
    for index, message in enumerate(messages):
        before = [] if index == 0 else [block["id"] for block in _blocks(messages[index - 1], "tool_use")]
        content = message["content"] if isinstance(message["content"], list) else []
        leading = 0
        while leading < len(content) and content[leading]["type"] == "tool_result":
            leading += 1
        answered = [block["tool_use_id"] for block in content[:leading]]
        missing = [name for name in before if name not in answered]
        if missing:
            _unanswered(index - 1, missing)
        for place, block in enumerate(content):
            if block["type"] == "tool_result" and block["tool_use_id"] not in before:
                found = f"unexpected `tool_use_id` found in `tool_result` blocks: {block['tool_use_id']}."
                rule = "must have a corresponding `tool_use` block in the previous message."
                raise error(f"messages.{index}.content.{place}: {found} Each `tool_result` block {rule}")
    if pending := [block["id"] for block in _blocks(messages[-1], "tool_use")]:
        _unanswered(len(messages) - 1, pending)


def _unanswered(index: int, ids: list[str]) -> None:
    found = f"`tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(ids)}."
    rule = "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
    raise error(f"messages.{index}: {found} {rule}")


def _scalars(body: Json, traits: Traits) -> None:
    limit = body["max_tokens"]
    if type(limit) is not int:
        raise error("max_tokens: Input should be a valid integer")
    if limit < 0:
        raise error("max_tokens: Input should be greater than or equal to 0")
    if limit > traits.max_tokens:
        rule = "which is the maximum allowed number of output tokens for"
        raise error(f"max_tokens: {limit} > {traits.max_tokens}, {rule} {body['model']}")
    if not isinstance(body.get("stream", False), bool):
        raise error("stream: Input should be a valid boolean")
    for name in ("temperature", "top_p"):
        if (value := body.get(name)) is not None:
            if type(value) not in (int, float):
                raise error(f"{name}: Input should be a valid number")
            if not 0 <= value <= 1:
                raise error(f"{name}: range: 0..1")
    for index, word in enumerate(body.get("stop_sequences") or ()):
        if not word.strip():
            raise error(f"stop_sequences.{index}: each stop sequence must contain non-whitespace")
    known(body.get("metadata") or {}, {"user_id"}, "metadata")
    config = body.get("output_config") or {}
    known(config, {"effort", "format"}, "output_config")
    if config.get("effort") not in (None, "low", "medium", "high", "xhigh", "max"):
        raise error("output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'")
    if (form := config.get("format")) is not None:
        known(form, {"type", "schema"}, "output_config.format")
        _schema(form.get("schema"))


def _schema(schema: Any) -> None:
    if not isinstance(schema, dict):
        return
    path, kind = "output_config.format.schema", schema.get("type")
    if kind == "object" and schema.get("additionalProperties") is not False:
        raise error(f"{path}: For 'object' type, 'additionalProperties' must be explicitly set to false")
    found = [f"'{name}'" for name in _SCHEMA_LIMITS.get(str(kind), ()) if name in schema]
    if found:
        raise error(f"{path}: For '{kind}' type, properties {', '.join(found)} are not supported")
    if "oneOf" in schema:
        raise error(f"{path}: Schema type 'oneOf' is not supported")
    named = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    for child in [*named, *schema.get("anyOf", ()), *schema.get("allOf", ()), schema.get("items")]:
        _schema(child)
