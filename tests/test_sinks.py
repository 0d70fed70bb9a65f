"""Sinks at the start: what is said of one that will not work."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from gateway.config.problems import ConfigError
from gateway.logs import LogHandler
from gateway.metrics import Metrics
from gateway.sinks import open_log


@dataclass
class Closed:
    """A sink that cannot begin."""

    error: OSError

    async def open(self) -> None:
        raise self.error

    async def write(self, lines: Sequence[bytes]) -> None:
        """It never comes to that."""

    async def close(self) -> None:
        """Nothing to let go of."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOENT, "No such file", "/run/x"), "log sink ops: No such file: /run/x"),
        (ConnectionRefusedError(111, "refused by 10.0.0.5"), "log sink ops: [Errno 111] refused by 10.0.0.5"),
        (OSError("there is no queue jobs"), "log sink ops: there is no queue jobs"),
    ],
)
async def test_a_sink_that_will_not_work_is_said_in_a_line(error: OSError, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        await open_log({"ops": Closed(error)}, LogHandler(), Metrics("test"))
    assert [str(problem) for problem in refused.value.errors] == [said]
