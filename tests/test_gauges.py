"""The gauges of several processes as those of one service."""

from __future__ import annotations

from gateway.gauges import together
from gateway.metrics import Sample


def states(*of: str) -> list[Sample]:
    """Key k in each of these states, in a process each."""
    names = ("active", "limited", "cooling", "disabled", "open")
    return [Sample("key_state", ("p", "k", name), float(name == state)) for state in of for name in names]


def state(samples: list[Sample]) -> list[str]:
    return [sample.labels[-1] for sample in samples if sample.name == "key_state" and sample.value]


def test_of_a_keys_states_the_gravest() -> None:
    assert state(together(states("active", "active"))) == ["active"]
    assert state(together(states("active", "cooling", "limited"))) == ["cooling"]
    assert state(together(states("disabled", "cooling"))) == ["disabled"]
    assert len(together(states("open", "limited"))) == 5


def test_counts_are_added_and_the_worst_told_of_all_else() -> None:
    samples = [
        Sample("in_flight_requests", ("p",), 2.0),
        Sample("in_flight_requests", ("p",), 3.0),
        Sample("key_window_ratio", ("p", "k", "tokens"), 0.25),
        Sample("key_window_ratio", ("p", "k", "tokens"), 0.75),
        Sample("journal_durable", (), 1.0),
        Sample("journal_durable", (), 0.0),
        Sample("journal_pending_records", (), 4.0),
        Sample("journal_pending_records", (), 5.0),
        Sample("store_degraded", ("redis",), 0.0),
        Sample("store_degraded", ("redis",), 1.0),
    ]
    assert {sample.name: sample.value for sample in together(samples)} == {
        "in_flight_requests": 5.0,
        "key_window_ratio": 0.75,
        "journal_durable": 0.0,
        "journal_pending_records": 9.0,
        "store_degraded": 1.0,
    }
