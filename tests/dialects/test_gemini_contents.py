"""Messages as contents: turns, calls and their responses, signatures."""

from typing import Any

import pytest

from gateway.api import Unsupported
from gateway.dialects.gemini_contents import Conversation
from gateway.dialects.gemini_signature import SKIP, extra_content, pack

Json = dict[str, Any]
THIRD = "gemini-3-pro"


def translate(*messages: Json, model: str = "gemini-2.5-flash") -> Json:
    conversation = Conversation(model)
    for message in messages:
        conversation.add(message)
    body: Json = {}
    conversation.finish(body)
    return body


def called(call_id: str, name: str = "f", arguments: Any = "{}") -> Json:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def user(text: str) -> Json:
    return {"role": "user", "content": text}


def calls(*tool_calls: Json) -> Json:
    return {"role": "assistant", "content": None, "tool_calls": list(tool_calls)}


def result(call_id: str, content: Any) -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def test_system_messages_are_concatenated_wherever_they_stand() -> None:
    body = translate(
        {"role": "system", "content": "One."},
        user("hi"),
        {"role": "developer", "content": [{"type": "text", "text": "Two."}, {"type": "text", "text": ""}]},
    )
    assert body == {
        "systemInstruction": {"parts": [{"text": "One.\n\nTwo."}]},
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
    }


def test_a_system_message_alone_is_what_the_model_answers() -> None:
    assert translate({"role": "system", "content": "Go."}) == {
        "contents": [{"role": "user", "parts": [{"text": "Go."}]}]
    }


def test_parallel_results_are_one_content_in_the_order_of_the_calls() -> None:
    body = translate(
        user("?"),
        calls(called("a", "f", '{"x":1}'), called("b", "g", "")),
        result("b", "B"),
        result("a", [{"type": "text", "text": "A1"}, {"type": "text", "text": "A2"}]),
        user("and?"),
    )
    assert body["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {"functionCall": {"name": "f", "args": {"x": 1}}},
                {"functionCall": {"name": "g", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "f", "response": {"result": "A1\nA2"}}},
                {"functionResponse": {"name": "g", "response": {"result": "B"}}},
            ],
        },
        {"role": "user", "parts": [{"text": "and?"}]},
    ]


def test_a_missing_result_is_made_up_and_an_orphan_becomes_text() -> None:
    body = translate(user("?"), calls(called("a")), result("zzz", "late"), user("so?"))
    assert [content["parts"] for content in body["contents"][2:]] == [
        [{"functionResponse": {"name": "f", "response": {"error": "No result was given for this call."}}}],
        [{"text": "Result of an earlier tool call: late"}],
        [{"text": "so?"}],
    ]


def test_two_calls_with_one_id_get_a_response_each() -> None:
    body = translate(user("?"), calls(called(""), called("")), result("", "1"), result("", "2"))
    responses = [part["functionResponse"]["response"] for part in body["contents"][2]["parts"]]
    assert responses == [{"result": "1"}, {"result": "2"}]


def test_an_image_in_a_tool_message_follows_the_responses() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}
    body = translate(user("?"), calls(called("a")), result("a", [image]))
    assert "functionResponse" in body["contents"][2]["parts"][0]
    assert "inlineData" in body["contents"][3]["parts"][0]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", {}),
        (" ", {}),
        (None, {}),
        ({"a": 1}, {"a": 1}),
        ('{"a": [1]}', {"a": [1]}),
        ('{"a": ', {"arguments": '{"a": '}),
        ("[1]", {"arguments": [1]}),
        ('"\\ud800"', {"arguments": '"\\ud800"'}),
    ],
)
def test_arguments_become_an_object(arguments: Any, expected: Json) -> None:
    body = translate(user("?"), calls(called("a", "f", arguments)))
    assert body["contents"][1]["parts"][0]["functionCall"]["args"] == expected


def test_empty_parts_and_messages_are_left_out() -> None:
    body = translate(
        user(""),
        {"role": "assistant", "content": ""},
        {"role": "assistant", "content": None, "refusal": "No."},
        {"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "x"}]},
    )
    assert body["contents"] == [
        {"role": "model", "parts": [{"text": "No."}]},
        {"role": "user", "parts": [{"text": "x"}]},
    ]


def test_a_call_never_follows_a_turn_of_the_models() -> None:
    body = translate(user("?"), {"role": "assistant", "content": "Wait."}, calls(called("a")))
    assert [content["role"] for content in body["contents"]] == ["user", "model", "user"]
    truncated = translate(calls(called("a")), result("a", "1"))
    assert [content["role"] for content in truncated["contents"]] == ["user", "model", "user"]


def test_signatures_come_back_from_the_id_and_the_field_and_are_made_up_for_foreign_calls() -> None:
    field = {**called("a"), "extra_content": {"google": {"thought_signature": "S=="}}}
    body = translate(
        user("?"),
        calls(called(pack("id1", "T+/=", THIRD), "f"), called("id2")),
        calls(field),
        calls(called("foreign"), called("foreign2")),
        model=THIRD,
    )
    parts = [part for content in body["contents"] if content["role"] == "model" for part in content["parts"]]
    assert [part.get("thoughtSignature") for part in parts] == ["T+/=", None, "S==", SKIP, None]
    assert [part["functionCall"]["id"] for part in parts] == ["id1", "id2", "a", "foreign", "foreign2"]
    assert body["contents"][2]["parts"][0]["functionResponse"]["id"] == "id1"


def test_the_signature_of_another_model_is_replaced_wherever_it_stands() -> None:
    foreign = {**called(pack("id1", "T", "gemini-3-flash")), "extra_content": extra_content("T")}
    body = translate(user("?"), calls(foreign, called(pack("id2", "U", THIRD))), model=THIRD)
    parts = body["contents"][1]["parts"]
    assert [part["thoughtSignature"] for part in parts] == [SKIP, "U"]
    assert [part["functionCall"]["id"] for part in parts] == ["id1", "id2"]


def test_a_result_finds_its_call_by_the_id_that_the_client_has() -> None:
    packed = pack("id1", "T", THIRD)
    body = translate(user("?"), calls(called(packed)), result(packed, "1"), model=THIRD)
    response = body["contents"][2]["parts"][0]["functionResponse"]
    assert response == {"name": "f", "id": "id1", "response": {"result": "1"}}


def test_older_generations_get_no_ids_and_no_made_up_signatures() -> None:
    body = translate(user("?"), calls(called("foreign"), called(pack("a", "S", "gemini-2.5-flash"))))
    assert body["contents"][1]["parts"] == [
        {"functionCall": {"name": "f", "args": {}}},
        {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "S"},
    ]
    plain = translate(user("?"), calls(called(pack("a", "S", "gemma-3-27b"))), model="gemma-3-27b")
    assert plain["contents"][1]["parts"] == [{"functionCall": {"name": "f", "args": {}}}]


def test_a_text_signature_comes_back_on_the_text() -> None:
    answer = {"role": "assistant", "content": "Hi", "extra_content": {"google": {"thought_signature": "S"}}}
    body = translate(user("?"), answer, model=THIRD)
    assert body["contents"][1]["parts"] == [{"text": "Hi", "thoughtSignature": "S"}]


def test_an_image_that_the_model_made_comes_back() -> None:
    image = {"index": 0, "type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    body = translate(user("?"), {"role": "assistant", "content": "", "images": [image]}, user("bluer"))
    assert body["contents"][1]["parts"] == [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]


def test_what_is_lost_is_named_once() -> None:
    conversation = Conversation("gemini-2.5-flash")
    image = {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "high"}}
    for _ in range(2):
        conversation.add({"role": "user", "name": "ann", "content": [image]})
    assert conversation.dropped == ["messages.name", "messages.image_url.detail"]


@pytest.mark.parametrize(
    "message",
    [
        {"role": "function", "name": "f", "content": "x"},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "assistant", "tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "x"}}]},
        {"role": "assistant", "tool_calls": [5]},
        {"role": "user", "content": [{"type": "hologram"}]},
        {"role": "user", "content": [{"type": ["text"]}]},
        {"role": "user", "content": ["x"]},
        {"role": "user", "content": 5},
        {"role": "system", "content": [{"type": "image_url", "image_url": {"url": "data:,x"}}]},
        {"role": ["user"], "content": "x"},
        {"role": "user", "content": ""},
    ],
)
def test_what_has_no_equivalent_is_refused(message: Json) -> None:
    with pytest.raises(Unsupported) as caught:
        translate(message)
    assert caught.value.param == "messages"


def test_what_is_lost_inside_of_messages_is_named() -> None:
    conversation = Conversation("gemini-2.5-flash")
    part = {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}, "annotations": []}
    conversation.add(
        {"role": "system", "content": [{**part, "prompt_cache_breakpoint": {"mode": "explicit"}}]}
    )
    conversation.add({"role": "user", "content": [part], "weight": 5})
    conversation.add({"role": "assistant", "content": "a", "reasoning_content": "b", "audio": None})
    assert conversation.dropped == [
        "messages.cache_control",
        "messages.prompt_cache_breakpoint",
        "messages.weight",
    ]


def test_a_refusal_beside_a_text_is_said_as_well() -> None:
    body = translate(user("?"), {"role": "assistant", "content": "Well.", "refusal": "No."}, user("!"))
    assert body["contents"][1]["parts"] == [{"text": "Well."}, {"text": "No."}]
