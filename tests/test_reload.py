"""What a reload says: every setting that takes effect only with a restart, and no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config.read import read
from gateway.config.schema import Config
from gateway.reload import kept, restart_required

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
