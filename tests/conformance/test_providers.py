"""Every provider that is installed holds to the contract: a new one is tested by existing."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

import pytest

from gateway.api import Call, Provider
from gateway.api.testing.providers import Sample, check_provider, check_reader

GROUP = "coo_llm.providers"
BUILT_IN = {"openai", "custom", "echo"}
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "custom": {"base_url": "http://127.0.0.1:8000/v1"},
    "azure": {"base_url": "https://resource.openai.azure.com/openai"},
}

SAMPLES: Mapping[str, tuple[Sample, ...]] = {
    # By the dialect they are in; every provider that speaks it natively has to read them.
    "chat": (
        Sample(
            Call("chat", "m", {}),
            b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,'
            b'"message":{"role":"assistant","content":"Gr\xc3\xbczi","refusal":null},"logprobs":null,'
            b'"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}\n',
        ),
        Sample(
            Call("chat", "m", {}, stream=True, include_usage=True),
            b'data: {"id":"","object":"","created":0,"model":"","choices":[],"prompt_filter_results":[]}\n\n'
            b": keep-alive\n\n"
            b'data: {"id":"1","choices":[{"index":0,"delta":{"role":"assistant"}}],"usage":null}\n\n'
            b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"Gr\xc3\xbczi \xe2\x80\xa8"}}]}\n\n'
            b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}\n\n'
            b'data: {"id":"1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}\n\n'
            b"data: [DONE]\n\n",
        ),
        Sample(
            Call("chat", "m", {}, stream=True),
            b'data:{"id":"1","choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":'
            b'[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]}}]}\r\n\r\n'
            b'data:{"id":"1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":'
            b'{"arguments":"{}"}}]}}]}\r\n\r\n'
            b'data:{"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}\r\n\r\n'
            b'data:{"id":"1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}\r\n\r\n'
            b"data:[DONE]",
        ),
    ),
    "completions": (
        Sample(
            Call("completions", "m", {}, stream=True),
            b'data: {"id":"cmpl-1","object":"text_completion","choices":[{"text":"a","index":0,'
            b'"logprobs":null,"finish_reason":null}]}\n\n'
            b'data: {"id":"cmpl-1","choices":[{"text":"","index":0,"finish_reason":"length"}]}\n\n'
            b"data: [DONE]\n\n",
        ),
    ),
    "embeddings": (
        Sample(
            Call("embeddings", "m", {"encoding_format": "base64"}),
            b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,-1]}],"model":"m",'
            b'"usage":{"prompt_tokens":1,"total_tokens":1}}',
        ),
    ),
}


def providers() -> list[Any]:
    """One of each that can be imported; the command ``coo-llm plugins`` names the others."""
    found = []
    for entry in entry_points(group=GROUP):
        try:
            kind = entry.load()
        except ImportError:
            continue
        found.append(pytest.param(kind(**SETTINGS.get(entry.name, {})), id=entry.name))
    return found


def test_the_built_in_ones_load() -> None:
    loaded = {entry.name for entry in entry_points(group=GROUP) if entry.name in BUILT_IN and entry.load()}
    assert loaded == BUILT_IN


@pytest.mark.parametrize("provider", providers())
def test_a_provider_holds_to_the_contract(provider: Provider) -> None:
    check_provider(provider)


@pytest.mark.parametrize("provider", providers())
def test_a_provider_reads_its_dialect(provider: Provider) -> None:
    for operation, dialect in provider.operations.items():
        for sample in SAMPLES.get(dialect, ()):
            if sample.call.operation == operation:
                check_reader(provider, sample)
