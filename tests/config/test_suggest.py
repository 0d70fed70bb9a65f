"""Near misses."""

from __future__ import annotations

from gateway.config.suggest import hint, nearest


def test_nearest() -> None:
    assert nearest("base_ulr", ["base_url", "model"]) == "base_url"
    assert nearest("BASE_URL", ["base_url"]) == "base_url"
    assert nearest("delay", ["base_url", "model"]) is None


def test_hint() -> None:
    assert hint("hybird", {"hybrid", "round_robin"}) == '; did you mean "hybrid"?'
    assert hint("fastest", {"hybrid", "round_robin"}) == "; there is: hybrid, round_robin"
    assert hint("x", ()) == ""
