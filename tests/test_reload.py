"""What a reload says: every setting that takes effect only with a restart, and no other."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config.read import read
from gateway.config.schema import Config
from gateway.reload import Reloaded, kept, restart_required

ECHO = {"llm_providers": [{"type": "echo"}]}


def load(folder: Path, **sections: Any) -> Config:
    path = folder / "c.yaml"
    path.write_text(yaml.safe_dump({**ECHO, **sections}))
    return read(path, {}).config


@pytest.mark.parametrize(
    ("sections", "named"),
    [
        ({}, []),
        ({"policy": {"algorithm": "round_robin"}}, []),
        ({"server": {"admin_api_key": "an-admin-key-for-tests", "max_body_mb": 1, "max_inflight": 5}}, []),
        ({"logging": {"level": "debug", "prometheus": {"public": True}}}, []),
        ({"server": {"listen": ":1", "workers": 2}}, ["server.listen", "server.workers"]),
        ({"server": {"tls": {"cert_file": "c", "key_file": "k"}}}, ["server.tls"]),
        ({"logging": {"file": {"enabled": False}}}, ["logging.file"]),
        ({"logging": {"prometheus": {"endpoint": "/m"}}}, ["logging.prometheus.endpoint"]),
        ({"storage": {"runtime": {"type": "memory"}}}, ["storage.runtime"]),
    ],
)
def test_what_needs_a_restart(tmp_path: Path, sections: dict[str, Any], named: list[str]) -> None:
    before, after = load(tmp_path), load(tmp_path, **sections)
    assert restart_required(before, after) == named
    effective = kept(after, before)
    assert restart_required(before, effective) == []
    assert effective.policy == after.policy
    assert (effective == after) is (not named)


@pytest.mark.parametrize(
    ("result", "level", "message"),
    [
        (Reloaded(), logging.INFO, "configuration unchanged"),
        (Reloaded(changed=True), logging.INFO, "configuration reloaded"),
        (Reloaded(restart_required=["server.workers"]), logging.WARNING, "settings wait for a restart"),
        (Reloaded(True, [], ["server.workers"]), logging.WARNING, "configuration reloaded"),
    ],
)
def test_settings_that_wait_for_a_restart_are_warned_of(
    result: Reloaded, level: int, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    result.log("SIGHUP", "1")
    assert caplog.record_tuples == [("gateway.reload", level, message)]
