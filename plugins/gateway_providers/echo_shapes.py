"""An echo's answers as OpenAI would send them: whole, and as the events of a stream."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from gateway.api import Call, Usage
from gateway.dialects.chat_usage import encode_chunk, openai_usage
from gateway_providers.echo_answers import Answer

_DONE = b"data: [DONE]\n\n"
Json = dict[str, Any]


def whole(call: Call, prompt_tokens: int, answers: list[Answer]) -> Json:
    """A ``chat.completion`` or ``text_completion``."""
    return {
        **_head(call),
        "choices": [_choice(call, index, answer) for index, answer in enumerate(answers)],
        "usage": _usage(prompt_tokens, answers),
    }


def events(call: Call, prompt_tokens: int, answers: list[Answer]) -> Iterator[bytes]:
    """The stream, with the usage chunk (a gateway asks for it in any case) and the closing ``[DONE]``."""
    head = {**_head(call), "usage": None}
    deltas = _chat_deltas if call.operation == "chat" else _texts
    for index, answer in enumerate(answers):
        for delta in deltas(answer):
            choice = {"index": index, **delta, "logprobs": None, "finish_reason": None}
            yield encode_chunk({**head, "choices": [choice]})
        last: Json = {"delta": {}} if call.operation == "chat" else {"text": ""}
        choice = {"index": index, **last, "logprobs": None, "finish_reason": answer.finish_reason}
        yield encode_chunk({**head, "choices": [choice]})
    yield encode_chunk({**head, "choices": [], "usage": _usage(prompt_tokens, answers)})
    yield _DONE


def _head(call: Call) -> Json:
    digest = hashlib.blake2b(orjson.dumps([call.model, dict(call.body)]), digest_size=12).hexdigest()
    if call.operation == "chat":
        name, kind = f"chatcmpl-{digest}", "chat.completion.chunk" if call.stream else "chat.completion"
    else:
        name, kind = f"cmpl-{digest}", "text_completion"
    return {"id": name, "object": kind, "created": int(time.time()), "model": call.model}


def _usage(prompt_tokens: int, answers: list[Answer]) -> Json:
    return openai_usage(Usage(input=prompt_tokens, output=sum(len(answer.pieces) for answer in answers)))


def _choice(call: Call, index: int, answer: Answer) -> Json:
    text = "".join(answer.pieces)
    said: Json
    if call.operation != "chat":
        said = {"text": text}
    elif answer.tool is None:
        said = {"message": {"role": "assistant", "content": text, "refusal": None}}
    else:
        calls = [_tool_call(answer.tool, text)]
        said = {"message": {"role": "assistant", "content": None, "refusal": None, "tool_calls": calls}}
    return {"index": index, **said, "logprobs": None, "finish_reason": answer.finish_reason}


def _chat_deltas(answer: Answer) -> Iterator[Mapping[str, Any]]:
    if answer.tool is None:
        yield {"delta": {"role": "assistant", "content": "", "refusal": None}}
        for piece in answer.pieces:
            yield {"delta": {"content": piece}}
        return
    opening = [{"index": 0, **_tool_call(answer.tool, "")}]
    yield {"delta": {"role": "assistant", "content": None, "tool_calls": opening}}
    for piece in answer.pieces:
        yield {"delta": {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}}


def _texts(answer: Answer) -> Iterator[Mapping[str, Any]]:
    for piece in answer.pieces:
        yield {"text": piece}


def _tool_call(name: str, arguments: str) -> Json:
    digest = hashlib.blake2b(name.encode(), digest_size=12).hexdigest()
    return {"id": f"call_{digest}", "type": "function", "function": {"name": name, "arguments": arguments}}
