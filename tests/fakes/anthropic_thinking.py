"""Anthropic's rules on sampling and thinking by model, and the signatures that thinking blocks carry."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import orjson

from tests.fakes.anthropic_models import Traits, thinking_on
from tests.fakes.anthropic_rules import error, known
from tests.fakes.upstream import Json

SAMPLING = ("temperature", "top_p", "top_k")
_BOUND = "The block is bound to a different conversation. Thinking blocks must be passed back unmodified."


def check_model(body: Json, rules: Traits, version: str) -> None:
    """Raise `Rejected` for what ``body``'s model, or this version of the API, does not take."""
    for name in SAMPLING:
        if name not in body:
            continue
        if version == "2026-10-21":
            raise error(f"`{name}` is not supported in API version {version}.")
        if not rules.sampling and body[name] != (None if name == "top_k" else 1):
            raise error(f"`{name}` is deprecated for this model.")
    if rules.one_sampler and {"temperature", "top_p"} <= body.keys():
        raise error("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
    _check_thinking(body, rules)
    if rules.always_thinks and (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        raise error('tool_choice: type "tool" and "any" are not supported for this model.')


def _check_thinking(body: Json, rules: Traits) -> None:
    thinking = body.get("thinking")
    if thinking is None:
        return
    fields = {"enabled": {"budget_tokens", "display"}, "adaptive": {"display"}, "disabled": set[str]()}
    kind = thinking.get("type")
    if kind not in fields:
        raise error(
            "thinking: Input tag does not match any of the expected tags: 'enabled', 'adaptive', 'disabled'"
        )
    known(thinking, fields[kind] | {"type"}, f"thinking.{kind}")
    if (rules.always_thinks and kind != "adaptive") or (kind == "enabled" and not rules.budgets):
        raise error(f'"thinking.type.{kind}" is not supported for this model.')
    if kind == "adaptive" and not rules.adaptive:
        raise error("adaptive thinking is not supported on this model")
    if kind == "enabled":
        budget = thinking.get("budget_tokens")
        if type(budget) is not int or budget < 1024:
            raise error("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        if budget >= body["max_tokens"]:
            raise error("`max_tokens` must be greater than `thinking.budget_tokens`.")
        if body.get("temperature", 1) != 1:
            raise error("`temperature` may only be set to 1 when thinking is enabled.")
        if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
            raise error("Thinking may not be enabled when tool_choice forces tool use.")


def sign(body: Json, before: int, thinking: str, rules: Traits) -> str:
    """The signature of ``thinking`` in the turn that follows ``body``'s first ``before`` messages."""
    prefix = _prefix(body, before) if rules.always_thinks else b""
    return base64.b64encode(hashlib.sha256(prefix + thinking.encode()).digest()).decode()


def check_signatures(body: Json, rules: Traits) -> None:
    """Raise `Rejected` unless every replayed thinking block is where and what it was."""
    if not thinking_on(body, rules):
        return
    strict = (body.get("thinking") or {}).get("type") == "enabled"
    for index, message in enumerate(body["messages"]):
        if message["role"] != "assistant" or isinstance(message["content"], str):
            continue
        for place, block in enumerate(message["content"]):
            path = f"messages.{index}.content.{place}"
            if place == 0 and strict and block["type"] == "tool_use":
                found = "Expected `thinking` or `redacted_thinking`, but found `tool_use`."
                rule = "When `thinking` is enabled, an `assistant` message must start with a thinking block."
                raise error(f"{path}.type: {found} {rule}")
            if block["type"] == "thinking" and block["signature"] != sign(
                body, index, block["thinking"], rules
            ):
                bound = f". {_BOUND}" if rules.always_thinks else ""
                raise error(f"{path}: Invalid `signature` in `thinking` block{bound}")


def _prefix(body: Json, before: int) -> bytes:
    turns = [{"role": m["role"], "content": _plain(m["content"])} for m in body["messages"][:before]]
    parts = [_plain(body.get("system") or ""), _bare(body.get("tools") or []), turns]
    return orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)


def _plain(content: Any) -> Any:
    """A string and the one text block that says the same are one."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else _bare(content)


def _bare(value: Any) -> Any:
    """``value`` without cache marks: they may move between turns."""
    if isinstance(value, dict):
        return {name: _bare(item) for name, item in value.items() if name != "cache_control"}
    return [_bare(item) for item in value] if isinstance(value, list) else value
