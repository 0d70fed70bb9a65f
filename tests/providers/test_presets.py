"""Presets: each is registered, needs no settings but Azure's address, and is a provider."""

from __future__ import annotations

from configparser import ConfigParser
from importlib import import_module
from inspect import getmembers, isclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.api import Call
from gateway.api.testing.providers import check_provider
from gateway_providers import presets
from gateway_providers.custom import Custom
from gateway_providers.presets import Azure, Cohere, Groq, Mistral, Ollama

SETTINGS: dict[str, dict[str, Any]] = {"Azure": {"base_url": "https://resource.openai.azure.com/openai"}}
PRESETS = [
    kind for _, kind in getmembers(presets, isclass) if issubclass(kind, Custom) and kind is not Custom
]


@pytest.mark.parametrize("kind", PRESETS)
def test_a_preset_is_a_provider(kind: type[Custom]) -> None:
    provider = kind(**SETTINGS.get(kind.__name__, {}))
    check_provider(provider)
    assert not provider.base_url.endswith("/v1")


def test_all_are_registered() -> None:
    setup = ConfigParser()
    setup.read(Path(__file__).parents[2] / "setup.cfg")
    lines = setup["options.entry_points"]["coo_llm.providers"].strip().splitlines()
    entries = dict(line.split(" = ") for line in lines)
    registered = {name: value.split(":") for name, value in entries.items() if ".presets:" in value}
    kinds = [getattr(import_module(module), attribute) for module, attribute in registered.values()]
    assert sorted(kind.__name__ for kind in kinds) == sorted(kind.__name__ for kind in PRESETS)
    assert all(name == kind.__name__.lower() for name, kind in zip(registered, kinds, strict=True))


def test_addresses() -> None:
    call = Call("chat", "m", {"messages": []})
    assert Groq().prepare(call, "k").url == "https://api.groq.com/openai/v1/chat/completions"
    assert (
        Ollama("http://ollama.internal:11434/v1")
        .prepare(call, "")
        .url.startswith("http://ollama.internal:11434/v1/")
    )
    azure = Azure(**SETTINGS["Azure"]).prepare(call, "k")
    assert azure.url == "https://resource.openai.azure.com/openai/v1/chat/completions"
    assert ("api-key", "k") in azure.headers


def test_what_they_have_can_be_set() -> None:
    assert set(Groq().operations) == {"chat", "speech", "transcriptions", "translations"}
    assert set(Cohere().operations) == {"rerank"}
    assert set(Groq(endpoints=("chat",)).operations) == {"chat"}


def test_mistral_gets_nothing_it_refuses() -> None:
    body = {"messages": [{"role": "assistant", "content": "a", "reasoning_content": "hm"}], "stream": True}
    sent = orjson.loads(Mistral().prepare(Call("chat", "m", body, stream=True), "k").body)
    assert sent == {"messages": [{"role": "assistant", "content": "a"}], "stream": True, "model": "m"}
