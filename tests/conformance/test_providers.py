"""Every provider that is installed holds to the contract: a new one is tested by existing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from itertools import count
from typing import Any, ClassVar, cast

import orjson
import pytest

from gateway.api import Call, Chunk, Kind, Outcome, Provider, Reader, Unsupported, Upstream
from gateway.api.testing.providers import Sample, check_provider, check_reader, check_settings
from gateway.dialects.chat import NativeReader
from gateway_providers.openai import OpenAI

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
    "messages": (
        Sample(
            Call("messages", "m", {}),
            b'{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text",'
            b'"text":"Gr\xc3\xbczi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":9,'
            b'"output_tokens":2}}\n',
        ),
        Sample(
            Call("messages", "m", {}, stream=True),
            b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message",'
            b'"role":"assistant","model":"m","content":[],"usage":{"input_tokens":9,"output_tokens":1}}}\n\n'
            b'event: ping\ndata: {"type":"ping"}\n\n'
            b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":'
            b'{"type":"text","text":""}}\n\n'
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
            b'{"type":"text_delta","text":"Gr\xc3\xbczi"}}\n\n'
            b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
            b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn",'
            b'"stop_sequence":null},"usage":{"output_tokens":2}}\n\n'
            b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
        ),
        Sample(Call("count_tokens", "m", {}), b'{"input_tokens":14}'),
    ),
    "moderations": (Sample(Call("moderations", "m", {}), b'{"id":"m-1","results":[{"flagged":false}]}'),),
    "images": (
        Sample(
            Call("images", "m", {}, stream=True),
            b'event: image_generation.partial_image\ndata: {"type":"image_generation.partial_image"}\n\n'
            b'data: {"type":"image_generation.completed","usage":{"input_tokens":1,"output_tokens":2}}\n\n'
            b"data: [DONE]\n\n",
        ),
    ),
    "transcriptions": (Sample(Call("transcriptions", "m", {}), b'{"text":"Hel"}'),),
    "translations": (Sample(Call("translations", "m", {"response_format": "srt"}), b"1\nHel\n"),),
    "speech": (Sample(Call("speech", "m", {}), b"RIFF\0\0"),),
    "rerank": (Sample(Call("rerank", "m", {}), b'{"results":[],"usage":{"total_tokens":1}}'),),
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


class _Unsplittable(NativeReader):
    """Reads each piece as if it were whole."""

    def feed(self, data: bytes) -> list[Chunk]:
        return [Chunk(data, content=True)]


@dataclass
class _Thawed:
    operations: ClassVar[Mapping[str, str]] = {"chat": "chat"}


class _Broken(OpenAI):
    """Breaks one promise, the one it is asked to."""

    promise: ClassVar[str] = ""
    noise: ClassVar[Iterator[int]] = count()

    def prepare(self, call: Call, secret: str) -> Upstream:
        upstream = super().prepare(call, secret)
        match self.promise:
            case "call":
                cast(dict[str, Any], call.body)["model"] = call.model
            case "url":
                upstream.url += f"?key={secret}"
            case "header":
                upstream.headers.append(("Host", "elsewhere"))
            case "stable":
                upstream.body += b"%d" % next(self.noise)
            case "refuse":
                raise Unsupported("messages" if call.operation == "chat" else "prompt")
            case "model":
                upstream.body = b"{}"
            case _:
                pass
        return upstream

    def reader(self, call: Call) -> Reader:
        return _Unsplittable(call) if self.promise == "cut" else super().reader(call)

    def diagnose(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        outcome = super().diagnose(status, headers, body)
        match self.promise:
            case "leak":
                return replace(outcome, message=body.decode(errors="replace") or "?")
            case "total":
                orjson.loads(body)
            case "kind":
                return replace(outcome, kind=Kind.CALLER)
            case _:
                pass
        return outcome


PROMISES = ("call", "url", "header", "stable", "refuse", "model", "leak", "total", "kind", "cut")


@pytest.mark.parametrize("promise", PROMISES)
def test_the_suite_notices_a_broken_promise(promise: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Broken, "promise", promise)
    with pytest.raises((AssertionError, ValueError)):
        check_provider(_Broken(), SAMPLES["chat"])


def test_the_suite_notices_settings_that_can_change() -> None:
    with pytest.raises(AssertionError, match="frozen"):
        check_settings(cast(Provider, _Thawed()))
