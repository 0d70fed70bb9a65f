"""What Gemini said so far, object by object."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.api import Call, Kind, Usage
from gateway.dialects.gemini_answer import Answer

WIRE = Path(__file__).parent.parent / "wire" / "gemini"


def answer() -> Answer:
    return Answer(Call("chat", "gemini-3-flash", {}))


def recorded(name: str) -> Any:
    return orjson.loads((WIRE / name).read_bytes())


def said(text: str) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": [{"text": text}]}}]}


def test_every_candidate_is_a_choice() -> None:
    read = answer()
    taken = read.take(recorded("chat_two_candidates.json"))
    got = [(choice.index, delta["content"], choice.finish_reason) for choice, delta, _ in taken]
    assert got == [(0, "one", "stop"), (1, "two", "length")]
    assert read.end() and read.complete and read.produced == 6


def test_logprobs_come_with_their_candidate() -> None:
    ((_, _, probabilities),) = answer().take(recorded("chat_logprobs.json"))
    assert probabilities is not None
    assert probabilities["content"][0] == {
        "token": "Hi",
        "logprob": -0.25,
        "bytes": [72, 105],
        "top_logprobs": [
            {"token": "Hi", "logprob": -0.25, "bytes": [72, 105]},
            {"token": "Hé", "logprob": -2.5, "bytes": [72, 195, 169]},
        ],
    }


def test_the_first_object_names_the_answer_and_the_last_figures_count() -> None:
    read = answer()
    read.take(
        {**said("a"), "responseId": "r1", "modelVersion": "m1", "usageMetadata": {"promptTokenCount": 1}}
    )
    read.take(
        {**said("b"), "responseId": "r2", "modelVersion": "m2", "usageMetadata": {"promptTokenCount": 2}}
    )
    read.take({**said("c"), "usageMetadata": {"promptTokenCount": "broken"}})
    value = read.value([])
    assert (value["id"], value["model"]) == ("chatcmpl-r1", "m1")
    assert read.usage == Usage(input=2)


def test_an_answer_without_an_id_gets_one_that_stays() -> None:
    read = answer()
    read.take(said("a"))
    first = read.value([])
    read.take({**said("b"), "responseId": "late"})
    assert read.value([])["id"] == first["id"] != "chatcmpl-"
    assert first["model"] == "gemini-3-flash"


@pytest.mark.parametrize(
    ("objects", "kind"),
    [
        ([], Kind.FAILED),
        ([said("a")], Kind.FAILED),
        ([5], Kind.INVALID),
        ([{"error": {"code": 503}}], Kind.OVERLOADED),
        ([recorded("malformed_call.json")], Kind.FAILED),
    ],
)
def test_what_does_not_end_well(objects: list[Any], kind: Kind) -> None:
    read = answer()
    for item in objects:
        read.take(item)
    assert not read.end() and not read.complete
    assert read.fault is not None and read.fault.kind is kind
