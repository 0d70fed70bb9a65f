"""What the overview says needs attention, and how grave it is."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.admin.pages.attention import Finding, findings
from gateway.api import Total

SOUND: dict[str, Any] = {
    "draining": False,
    "anonymous_access": "nobody",
    "config": {"reload_errors": [], "restart_required": []},
    "dependencies": [{"name": "storage.runtime", "type": "file", "status": "ok", "message": None}],
}


def key(state: str = "active", **other: Any) -> dict[str, Any]:
    return {
        "id": "k",
        "state": state,
        "switched_off": False,
        "cooled_seconds": 0.0,
        "last_error": None,
        "windows": {},
        **other,
    }


def found(*keys: dict[str, Any], **health: Any) -> list[Finding]:
    services = [{"id": "up", "keys": list(keys)}] if keys else []
    return findings({**SOUND, **health}, services, Total(), [])


def test_nothing_needs_attention() -> None:
    assert found(key(), key(windows={"requests": {"limit": 10, "used": 7}})) == []


@pytest.mark.parametrize(
    ("health", "level", "words"),
    [
        ({"draining": True}, "warn", "stopping"),
        ({"anonymous_access": "everyone"}, "bad", "server.allow_anonymous"),
        ({"anonymous_access": "this machine"}, "note", "create one"),
        (
            {"config": {"reload_errors": [{"path": "a.b", "message": "is wrong"}], "restart_required": []}},
            "bad",
            "until this is mended: a.b: is wrong",
        ),
        ({"config": {"reload_errors": [], "restart_required": ["server.tls"]}}, "warn", "server.tls"),
        (
            {
                "dependencies": [
                    {"name": "sink ops", "type": "log sink", "status": "degraded", "message": "3 lost"}
                ]
            },
            "bad",
            "3 lost",
        ),
    ],
)
def test_the_gateway(health: dict[str, Any], level: str, words: str) -> None:
    (finding,) = found(**health)
    assert finding.level == level
    assert words in f"{finding.title} {finding.advice}"


@pytest.mark.parametrize(
    ("keys", "level", "title"),
    [
        ([key("open")], "bad", "up: the key is kept out by an open circuit"),
        ([key("open"), key()], "warn", "up: 1 of 2 keys kept out by an open circuit"),
        ([key("disabled"), key("disabled"), key()], "warn", "up: 2 of 3 keys rejected by the upstream"),
        ([key("disabled", switched_off=True), key()], "note", "up: 1 of 2 keys switched off"),
        ([key("disabled", switched_off=True)], "bad", "up: the key is switched off"),
        ([key("cooling", cooled_seconds=90.0)], "bad", "up: the key is cooling down"),
        ([key("limited")], "bad", "up: the key is at a limit"),
        ([key(windows={"tokens": {"limit": 10, "used": 8}})], "warn", "up: the key is near a limit"),
    ],
)
def test_keys(keys: list[dict[str, Any]], level: str, title: str) -> None:
    (finding,) = found(*keys)
    assert (finding.level, finding.title) == (level, title)
    assert (finding.section, finding.query) == ("Providers", "/up")


def test_a_key_says_why_and_for_how_long() -> None:
    (finding,) = found(key("cooling", cooled_seconds=90.0, last_error="slow\u202edown"))
    assert finding.advice.startswith("For 1 min 30 s yet. Last error: slow\\u202edown. ")


def test_the_last_error_ends_with_one_full_stop() -> None:
    (finding,) = found(key("cooling", last_error="The upstream cannot be reached."))
    assert "cannot be reached. " in finding.advice and ".." not in finding.advice


def test_traffic_and_prices_and_the_gravest_first() -> None:
    recent = Total(requests=100, errors=7)
    problems = findings({**SOUND, "draining": True}, [], recent, ["a", "b", "c", "d"])
    assert [finding.level for finding in problems] == ["bad", "warn", "warn"]
    assert problems[0].title == "7 % of requests failed in the last 5 minutes"
    assert "a, b, c and 1 more" in problems[2].advice
    assert findings(SOUND, [], Total(requests=10, errors=9), []) == []
    assert findings(SOUND, [], None, [])[0].level == "bad"
