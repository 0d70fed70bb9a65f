"""Streams of the Responses API, read as strictly as OpenAI's SDK types have it."""

from __future__ import annotations

from typing import Any

import orjson
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.dialects.sse import Splitter

Json = dict[str, Any]
_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
_DELTAS = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.function_call_arguments.delta": "arguments",
    "response.reasoning_summary_text.delta": "text",
    "response.reasoning_text.delta": "text",
    "response.custom_tool_call_input.delta": "input",
}


def read(stream: bytes) -> list[Json]:
    """The events of a whole stream. Each is one of the SDK's, named as its type, and numbered."""
    splitter = Splitter()
    events = []
    for number, event in enumerate([*splitter.feed(stream), *splitter.finish()]):
        value = orjson.loads(event.data)
        assert event.name.decode() == value["type"]
        assert value["sequence_number"] == number
        _EVENT.validate_python(value)
        events.append(value)
    return events


def told(stream: bytes) -> Json:
    """The response that the last event of ``stream`` holds; all others add up to it."""
    first, second, *events, last = read(stream)
    assert [first["type"], second["type"]] == ["response.created", "response.in_progress"]
    assert first["response"]["output"] == [] and first["response"]["status"] == "in_progress"
    assert last["type"] == f"response.{last['response']['status']}"
    response: Json = last["response"]
    check_response(response)
    assert first["response"].keys() == response.keys()
    done: list[Json | None] = [None] * len(response["output"])
    texts: dict[Any, str] = {}
    for event in events:
        kind, index = event["type"], event["output_index"]
        place = (index, event.get("content_index"), event.get("summary_index"))
        if kind == "response.output_item.added":
            assert texts.setdefault(index, "") == "" and event["item"].get("status") in (None, "in_progress")
            continue
        assert index in texts and done[index] is None
        if kind == "response.output_item.done":
            done[index] = event["item"]
        else:
            assert event["item_id"] == response["output"][index]["id"]
        if (name := _DELTAS.get(kind)) is not None:
            texts[place] = texts.get(place, "") + event["delta"]
        elif (name := _DELTAS.get(kind.replace(".done", ".delta"))) is not None:
            assert texts.get(place, "") == event[name]
    assert done == response["output"]
    return response


def check_response(response: Json) -> None:
    """It is a response as the SDK has it."""
    Response.model_validate(response)
