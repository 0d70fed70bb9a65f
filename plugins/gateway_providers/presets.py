"""Services that speak OpenAI's dialect, by name: what differs from `Custom` is in the class, no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from gateway_providers.custom import Custom
from gateway_providers.openai import natively

_HEARING = ("transcriptions", "translations")


@dataclass(frozen=True, slots=True)
class Azure(Custom):
    """Azure OpenAI's v1 surface: ``base_url: https://RESOURCE.openai.azure.com/openai``; the model is the
    name of the deployment."""

    base_url: str = field()
    auth_header: str = "api-key"
    auth_scheme: str = ""
    message_extensions: bool = False
    responses_api: bool = True


@dataclass(frozen=True, slots=True)
class Cohere(Custom):
    """Rankings by its v1 endpoint."""

    served: ClassVar[Mapping[str, str]] = natively("rerank")
    base_url: str = "https://api.cohere.com"


@dataclass(frozen=True, slots=True)
class DeepSeek(Custom):
    served: ClassVar[Mapping[str, str]] = natively("chat")
    base_url: str = "https://api.deepseek.com"


@dataclass(frozen=True, slots=True)
class Fireworks(Custom):
    served: ClassVar[Mapping[str, str]] = natively("chat", "completions", "embeddings", "rerank")
    base_url: str = "https://api.fireworks.ai/inference"


@dataclass(frozen=True, slots=True)
class Groq(Custom):
    served: ClassVar[Mapping[str, str]] = natively("chat", "speech", *_HEARING)
    base_url: str = "https://api.groq.com/openai"


@dataclass(frozen=True, slots=True)
class Jina(Custom):
    served: ClassVar[Mapping[str, str]] = natively("embeddings", "rerank")
    base_url: str = "https://api.jina.ai"


@dataclass(frozen=True, slots=True)
class Mistral(Custom):
    """It refuses parameters it does not know, ``stream_options`` among them, and sends usage unasked."""

    served: ClassVar[Mapping[str, str]] = natively("chat", "embeddings", "moderations", "transcriptions")
    base_url: str = "https://api.mistral.ai"
    stream_usage: bool = False
    message_extensions: bool = False


@dataclass(frozen=True, slots=True)
class Ollama(Custom):
    base_url: str = "http://127.0.0.1:11434"


@dataclass(frozen=True, slots=True)
class OpenRouter(Custom):
    base_url: str = "https://openrouter.ai/api"


@dataclass(frozen=True, slots=True)
class Together(Custom):
    served: ClassVar[Mapping[str, str]] = natively(
        "chat", "completions", "embeddings", "images", "speech", "rerank", *_HEARING
    )
    base_url: str = "https://api.together.xyz"


@dataclass(frozen=True, slots=True)
class VLLM(Custom):
    served: ClassVar[Mapping[str, str]] = natively("chat", "completions", "embeddings", "rerank", *_HEARING)
    base_url: str = "http://127.0.0.1:8000"


@dataclass(frozen=True, slots=True)
class XAI(Custom):
    served: ClassVar[Mapping[str, str]] = natively("chat", "images")
    base_url: str = "https://api.x.ai"
