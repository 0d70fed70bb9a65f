"""An OpenAI chat request as a Gemini ``generateContent`` request: every parameter and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.api import Call, Unsupported
from gateway.dialects.gemini_contents import Conversation
from gateway.dialects.gemini_model import generation
from gateway.dialects.gemini_tools import calling, declarations

Json = dict[str, Any]

_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}  # Google's own mapping
_LEVELS = {"none": "MINIMAL", "max": "XHIGH"}


@dataclass(slots=True)
class Draft:
    """A request being written: its body, its ``generationConfig``, and what found no place in them."""

    model: str
    generation: float
    source: Mapping[str, Any]
    body: Json = field(default_factory=dict)
    config: Json = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)


Handler = Callable[[Draft, str, Any], None]


def generate(call: Call) -> tuple[Json, tuple[str, ...]]:
    """The body of the request and the names of the parameters that were dropped. Raises `Unsupported`.

    The result shares values with ``call.body`` and changes none of them.
    """
    draft = Draft(call.model, generation(call.model), call.body)
    for name, value in call.body.items():
        if value is not None:  # null is OpenAI's way to leave a parameter out
            PARAMETERS.get(name, drop)(draft, name, value)
    limit = call.max_tokens
    if limit is None and (limit := call.body.get("max_completion_tokens")) is None:
        limit = call.body.get("max_tokens")
    if limit is not None:
        draft.config["maxOutputTokens"] = limit
    if draft.config:
        draft.body["generationConfig"] = draft.config
    return draft.body, tuple(draft.dropped)


def drop(draft: Draft, name: str, value: Any) -> None:
    """Its loss does not change the answer's meaning: it is left out and named. Empty values are no loss."""
    if value not in (False, [], {}, ""):
        draft.dropped.append(name)


def refuse(draft: Draft, name: str, value: Any) -> None:
    """Its loss would change the answer."""
    if value:
        raise Unsupported(name, "Gemini has no equivalent")


def elsewhere(draft: Draft, name: str, value: Any) -> None:
    """Part of the address, or read with other parameters."""


def copied(target: str) -> Handler:
    """The same thing under another name in ``generationConfig``."""

    def copy(draft: Draft, name: str, value: Any) -> None:
        draft.config[target] = value

    return copy


def _messages(draft: Draft, name: str, value: Any) -> None:
    conversation = Conversation(draft.model)
    for message in value if isinstance(value, list) else ():
        if not isinstance(message, dict):
            raise Unsupported(name, "a message that is not an object")
        conversation.add(message)
    conversation.finish(draft.body)
    draft.dropped += conversation.dropped


def _tools(draft: Draft, name: str, value: Any) -> None:
    declared, dropped = declarations(value)
    if declared:
        draft.body["tools"] = [{"functionDeclarations": declared}]
    draft.dropped += dropped


def _tool_choice(draft: Draft, name: str, value: Any) -> None:
    if draft.source.get("tools"):
        draft.body["toolConfig"] = {"functionCallingConfig": calling(value)}
    elif value not in ("auto", "none"):
        raise Unsupported(name, "there are no tools to choose from")


def _parallel_tool_calls(draft: Draft, name: str, value: Any) -> None:
    if value is False and draft.source.get("tools"):
        draft.dropped.append(name)


def _response_format(draft: Draft, name: str, value: Any) -> None:
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "text":
        return
    if kind not in ("json_object", "json_schema"):
        raise Unsupported(name, "neither text, json_object nor json_schema")
    if draft.generation < 3 and draft.source.get("tools"):
        raise Unsupported(name, "Gemini before 3 has no JSON answers together with tools")
    draft.config["responseMimeType"] = "application/json"
    holder = value.get("json_schema")
    schema = holder.get("schema") if isinstance(holder, dict) else None
    if kind == "json_schema" and schema is not None:
        draft.config["responseJsonSchema"] = schema


def _reasoning_effort(draft: Draft, name: str, value: Any) -> None:
    """Generation 2.5 has token budgets, later ones have levels; neither's "pro" can be told not to think."""
    if draft.generation < 2.5 or not isinstance(value, str):
        draft.dropped.append(name)
        return
    thinks = value != "none"
    thinking: Json = {"includeThoughts": True} if thinks else {}
    pro = "-pro" in draft.model
    if draft.generation < 3:
        thinking["thinkingBudget"] = 128 if pro and not thinks else _BUDGETS.get(value, _BUDGETS["high"])
    elif pro and value in ("none", "minimal"):
        thinking["thinkingLevel"] = "LOW"
    else:
        thinking["thinkingLevel"] = _LEVELS.get(value) or value.upper()
    draft.config["thinkingConfig"] = thinking


def _stop(draft: Draft, name: str, value: Any) -> None:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or len(listed) > 5:
        raise Unsupported(name, "at most 5 sequences")
    sequences = [stop for stop in listed if stop]
    if sequences:
        draft.config["stopSequences"] = sequences


def _n(draft: Draft, name: str, value: Any) -> None:
    if not isinstance(value, int) or value > 8:
        raise Unsupported(name, "at most 8 choices")
    draft.config["candidateCount"] = value


def _seed(draft: Draft, name: str, value: Any) -> None:
    if not isinstance(value, int):
        raise Unsupported(name, "a whole number")
    draft.config["seed"] = (value + 2**31) % 2**32 - 2**31  # OpenAI's has 64 bits, Gemini's 32


def _logprobs(draft: Draft, name: str, value: Any) -> None:
    if value:
        draft.config["responseLogprobs"] = True
        if (top := draft.source.get("top_logprobs")) is not None:
            draft.config["logprobs"] = top


def _modalities(draft: Draft, name: str, value: Any) -> None:
    if value != ["text"]:
        raise Unsupported(name, "only text")


def _service_tier(draft: Draft, name: str, value: Any) -> None:
    if value in ("flex", "priority"):
        draft.body["serviceTier"] = value
    elif value not in ("auto", "default"):
        draft.dropped.append(name)


PARAMETERS: Mapping[str, Handler] = {
    "model": elsewhere,
    "stream": elsewhere,
    "stream_options": elsewhere,
    "messages": _messages,
    "max_completion_tokens": elsewhere,
    "max_tokens": elsewhere,
    "temperature": copied("temperature"),
    "top_p": copied("topP"),
    "top_k": copied("topK"),
    "presence_penalty": copied("presencePenalty"),
    "frequency_penalty": copied("frequencyPenalty"),
    "seed": _seed,
    "stop": _stop,
    "n": _n,
    "logprobs": _logprobs,
    "top_logprobs": elsewhere,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "parallel_tool_calls": _parallel_tool_calls,
    "response_format": _response_format,
    "reasoning_effort": _reasoning_effort,
    "modalities": _modalities,
    "service_tier": _service_tier,
    "audio": drop,
    "logit_bias": drop,
    "metadata": drop,
    "prediction": drop,
    "prompt_cache_key": drop,
    "prompt_cache_options": drop,
    "prompt_cache_retention": drop,
    "safety_identifier": drop,
    "store": drop,
    "user": drop,
    "verbosity": drop,
    "function_call": refuse,
    "functions": refuse,
    "moderation": refuse,
    "web_search_options": refuse,
}
"""What becomes of each parameter. One that is not here is unknown to us: it is dropped and named."""
