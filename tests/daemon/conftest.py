"""What all tests with a running gateway need."""

from __future__ import annotations

import pytest

from gateway.ledger import mover


@pytest.fixture(autouse=True)
def records_are_soon_in_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of tests wait for a record, of gateways in this process."""
    monkeypatch.setattr(mover, "GATHER", 0.02)
