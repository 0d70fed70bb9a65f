"""What the trail of admin calls says of one."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import orjson
import pytest

from tests.admin.calling import administered, audited, call
from tests.daemon.running import running


async def test_a_call_takes_no_negative_time_when_the_clock_goes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = itertools.count(time.time(), -3600.0)
    async with running(administered(logging=audited(tmp_path)), tmp_path) as gateway:
        monkeypatch.setattr(time, "time", lambda: next(hours))
        assert (await call(gateway, "GET /health"))[0] == 200
        monkeypatch.undo()
    [line] = (tmp_path / "audit.log").read_bytes().splitlines()
    assert 0 <= orjson.loads(line)["ms"] < 60_000
