"""Restarts and upgrades through the socket while streams run: nobody is refused, all is accounted."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

import pytest

from gateway import __version__
from tests.package.service import CONFIG, URL, Service, install

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[2]
STREAMS = 500
DRAIN = 5
"""Seconds."""
NEWER = "9.9.9"
QUICK = {"id": "quick", "type": "echo", "model": "quick"}
SHORT = {**QUICK, "id": "short", "model": "short", "reply": "a b c d e f", "token_ms": 500}
LONG = {**QUICK, "id": "long", "model": "long", "reply": "and on " * 30, "token_ms": 1000}


@pytest.fixture(scope="module", autouse=True)
def activated(service: Service) -> None:
    """The socket is switched on, as its comment says."""
    service.configure(
        server={**service.shipped["server"], "drain_timeout": f"{DRAIN}s"}, llm_providers=[QUICK, SHORT, LONG]
    )
    service.switch_the_socket_on()


def under_load(service: Service, action: Callable[[], object]) -> list[dict[str, Any]]:
    """Do something while `STREAMS` streams run and requests keep coming; what clients saw."""
    load = (sys.executable, "-m", "tests.package.load", URL, service.key("first-client"), str(STREAMS))
    with subprocess.Popen(
        service.box.on_its_network(*load), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "running\n"
        action()
        process.stdin.close()
        seen: list[dict[str, Any]] = json.loads(process.stdout.read())
    return seen


def records(service: Service) -> dict[str, dict[str, Any]]:
    """All usage records, by the id of the request; each is there once."""
    found: list[dict[str, Any]] = []
    page = service.admin("requests?limit=1000")
    while page["requests"]:
        found += page["requests"]
        page = service.admin(f"requests?limit=1000&before={found[-1]['id']}")
    by_id = {record["request_id"]: record for record in found}
    assert len(by_id) == len(found)
    return by_id


def records_of(
    service: Service, seen: list[dict[str, Any]], before: Container[str]
) -> dict[str, dict[str, Any]]:
    """All records but those ``before``, once there are as many as requests: they come by a journal."""
    deadline = time.monotonic() + 30
    while True:
        found = {id: record for id, record in records(service).items() if id not in before}
        if len(found) >= len(seen) or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def check(seen: list[dict[str, Any]], found: dict[str, dict[str, Any]]) -> None:
    """Nobody was refused, streams ended as they should, and the records say what the clients saw."""
    assert [one for one in seen if one["status"] not in (200, 503)] == []
    assert {one["end"] for one in seen} <= {"done", "draining"}
    streams = [one for one in seen if not one["id"].startswith("whole")]
    assert len(streams) == STREAMS
    assert {(one["id"].partition("-")[0], one["end"]) for one in streams} == {
        ("short", "done"),
        ("long", "draining"),
    }
    for one in seen:
        record = found.pop(one["id"])
        assert (record["error"] or "done") == one["end"], (one, record)
        assert record["partial"] == (one["end"] != "done" and one["status"] == 200), (one, record)
        if one["end"] == "done" and one["text"]:
            assert record["output_tokens"] == one["text"], (one, record)
    assert found == {}


def repacked(package: Path, folder: Path) -> Path:
    """The same package as a newer version of it."""
    tree = folder / "tree"
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    [module] = tree.glob("usr/lib/coo-llm/lib/python3*/site-packages/gateway/__init__.py")
    for path in (tree / "DEBIAN" / "control", module):
        path.write_text(path.read_text().replace(__version__, NEWER))
    newer = folder / f"coo-llm_{NEWER}_amd64.deb"
    subprocess.run(
        ["dpkg-deb", "-Znone", "--root-owner-group", "--build", tree, newer],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return newer


def test_a_restart_under_load(service: Service) -> None:
    seen = under_load(service, service.restart)
    check(seen, records_of(service, seen, ()))


def test_an_upgrade_under_load(service: Service, package: Path, tmp_path: Path) -> None:
    before = records(service)
    edited = service.box.path(CONFIG).read_text()
    service.box.path("/usr/local/lib/coo-llm/third_party.py").touch()
    newer = repacked(package, tmp_path)
    seen = under_load(service, lambda: install(service.box, newer))
    check(seen, records_of(service, seen, before))
    assert json.loads(service.box.run(f"curl -sS {URL}/health"))["version"] == NEWER
    assert service.box.path(CONFIG).read_text() == edited
    assert service.box.path("/usr/local/lib/coo-llm/third_party.py").exists()
    assert service.box.run("systemctl is-active coo-llm.socket coo-llm.service").split() == ["active"] * 2
