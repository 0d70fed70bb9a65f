"""Requests with anything anywhere: whatever passes the check is translated or refused, and never a crash."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import ApiError, Call, Unsupported
from gateway.dialects.messages.inbound.request import to_chat
from gateway.request.check_chat import check_chat
from gateway.request.operations import MESSAGES
from gateway_providers.claude import Claude
from gateway_providers.gemini import Gemini
from gateway_providers.openai import OpenAI
from tests.dialects.messages.inbound.turns import bodies

json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(-9, 9)
    | st.sampled_from(["", "text", "x", "é"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "text", "content", "source", "a"]), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in ``value`` with each of its keys or indexes."""
    if isinstance(value, dict):
        keys: list[Any] = [*value]
    elif isinstance(value, list):
        keys = [*range(len(value))]
    else:
        return []
    return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]


@settings(max_examples=600, deadline=None)
@given(bodies, st.data())
def test_any_value_anywhere(body: dict[str, Any], data: st.DataObject) -> None:
    body = deepcopy(body)
    for _ in range(data.draw(st.integers(1, 2))):
        holder, key = data.draw(st.sampled_from(places(body)))
        holder[key] = data.draw(json)
    try:
        MESSAGES.check(body)
    except ApiError:
        return
    native = Call("messages", "claude-sonnet-4-5", body, max_tokens=2000, dialect="messages")
    prepared(Claude(), native)
    try:
        chat, _ = to_chat(body)
    except Unsupported:
        return
    check_chat(chat)
    orjson.dumps(chat)
    for provider, model in ((OpenAI(), "gpt-5"), (Gemini(), "gemini-2.5-flash")):
        prepared(provider, Call("chat", model, chat, max_tokens=2000, dialect="messages"))


def prepared(provider: Any, call: Call) -> None:
    try:
        provider.prepare(call, "secret")
    except Unsupported:
        pass
