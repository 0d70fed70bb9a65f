"""``llm_providers:``: the upstreams, their keys, models, prices and limits."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from gateway.config.fields import Credential, Dollars, Duration, Headers, Name, Text, Url, Whole
from gateway.config.section import PluginSection, Section


def identity(prefix: str, secret: str) -> str:
    """The id of a key that has none of its own: the same wherever the key stands."""
    return prefix + sha256(secret.encode()).hexdigest()[:8]


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _keyed(value: Any) -> Any:
    return {"key": value} if isinstance(value, str) else value


class Pricing(Section):
    """US dollars per 1,000 tokens, where all but the first two fall back to one of these, and per unit of
    what is not billed by tokens. None where unknown."""

    input_token_cost: Dollars | None = None
    output_token_cost: Dollars | None = None
    cached_input_token_cost: Dollars | None = None
    cache_write_token_cost: Dollars | None = None
    cache_write_1h_token_cost: Dollars | None = None
    """Kept for an hour; falls back to ``cache_write_token_cost``."""
    reasoning_token_cost: Dollars | None = None
    audio_input_token_cost: Dollars | None = None
    audio_output_token_cost: Dollars | None = None
    image_cost: Dollars | None = None
    """For each image made."""
    audio_minute_cost: Dollars | None = None
    """For each minute of sound that is transcribed or translated."""
    character_cost: Dollars | None = None
    """For 1,000 characters of text that is spoken."""
    search_cost: Dollars | None = None
    """For each search unit of a ranking."""
    currency: Literal["USD"] = "USD"


class KeyLimits(Section):
    """What one key may be used for; 0 means no limit."""

    req_per_min: Whole = 0
    tokens_per_min: Whole = 0
    max_tokens: Whole = 0
    """Of output, per request."""
    session_limit: Whole = 0
    """Tokens in any ``session_type``."""
    session_type: Duration = 3600.0
    max_parallel: Whole = 0


class KeyConfig(Section):
    """A provider's key. Prices or limits of its own stand in place of the provider's."""

    id: Name
    """Unique in its provider; default: ``k-`` and 8 hex digits of the key's SHA-256."""
    key: Credential
    pricing: Pricing | None = None
    limits: KeyLimits | None = None

    @model_validator(mode="before")
    @classmethod
    def _default_id(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("id") is None and isinstance(value.get("key"), str):
            return {**value, "id": identity("k-", value["key"])}
        return value


class ModelConfig(Section):
    """A further model of a provider."""

    name: Text
    pricing: Pricing | None = None


class Timeout(Section):
    """Seconds: to connect, to a stream's first token, between its chunks, for the whole client request."""

    connect: Duration = 5.0
    first_token: Duration = 120.0
    idle: Duration = 60.0
    total: Duration = 590.0


NEED_KEYS = frozenset({"openai", "claude", "gemini"})
"""Types that take no request without a key."""
KEYLESS = KeyConfig.model_construct(id="keyless", key=SecretStr(""), pricing=None, limits=None)
"""Stands for the key of a provider that needs none."""


class ProviderConfig(PluginSection):
    """An upstream."""

    id: Name
    """Unique; default: its type."""
    name: Text
    """For display; default: its id."""
    type: Name
    api_keys: tuple[
        Annotated[KeyConfig, BeforeValidator(_keyed, json_schema_input_type=str | KeyConfig)], ...
    ] = ()
    base_url: Url | None = None
    model: Text | None = None
    models: tuple[
        Annotated[ModelConfig, BeforeValidator(_named, json_schema_input_type=str | ModelConfig)], ...
    ] = ()
    pricing: Pricing = Pricing()
    limits: KeyLimits = KeyLimits()
    headers: Headers = Field(default={}, repr=False)
    timeout: Timeout = Timeout()

    @model_validator(mode="before")
    @classmethod
    def _default_names(cls, value: Any) -> Any:
        if isinstance(value, dict):
            value = {name: setting for name, setting in value.items() if setting is not None}
            for name, source in (("id", "type"), ("name", "id")):
                if source in value:
                    value.setdefault(name, value[source])
        return value
