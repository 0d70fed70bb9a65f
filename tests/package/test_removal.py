"""What is left: of a removed package what it was told and has counted, of a purged one nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.package.box import LATER, Box
from tests.package.service import CONFIG, URL, Service, install

pytestmark = pytest.mark.timeout(600)

APT_S = ("/var/cache", "/var/lib/apt", "/var/lib/dpkg", "/var/log/apt", "/var/log/dpkg.log")
SYSTEMD_S = ("/var/lib/systemd", "/var/log/journal", "/var/tmp/systemd")


def files(box: Box) -> set[str]:
    """What there is on disk, but for the notes of those who install and start it."""
    found = box.run("find / -xdev -not -path '/proc/*' -not -path '/sys/*' -not -path '/tmp/*'").splitlines()
    return {path for path in found if not path.startswith((*APT_S, *SYSTEMD_S))}


def test_removed_and_purged(box: Box, package: Path) -> None:
    box.run(f"apt-get install -qq --no-install-recommends {' '.join(LATER)} libstdc++6 >/dev/null")
    before = files(box)
    install(box, package)
    service = Service(box)
    service.chat()
    used = files(box)
    assert {
        CONFIG,
        "/usr/bin/coo-llm",
        "/usr/local/lib/coo-llm",
        "/var/lib/coo-llm/coo-llm.db",
    } <= used - before

    box.run("apt-get remove -qq coo-llm >/dev/null")
    assert box.run("find /proc -maxdepth 1 -user coo-llm") == ""
    kept = files(box) - before
    assert {
        CONFIG,
        "/etc/coo-llm/keys/admin",
        "/var/lib/coo-llm/coo-llm.db",
        "/var/log/coo-llm/coo-llm.log",
    } <= kept
    assert {path for path in kept if path.startswith(("/usr", "/lib"))} == set()

    install(box, package)
    service.chat()
    service.restart()  # so that the record is where it is counted
    assert service.admin("stats?group_by=client")["total"]["queries"] == 2

    box.run("apt-get purge -qq coo-llm >/dev/null")
    assert files(box) - before == set()
    assert box.run("systemctl --failed --plain --no-legend") == ""
    assert "coo-llm" not in box.run("systemctl list-unit-files; systemctl list-units --all")


def test_removed_with_the_socket_while_clients_keep_coming(box: Box, package: Path) -> None:
    install(box, package)
    service = Service(box)
    service.switch_the_socket_on()
    with clients(box):
        service.box.run("apt-get remove -qq coo-llm >/dev/null")
        assert units(box) == ""
    assert "Traceback" not in box.run("journalctl -q -u coo-llm -o cat")
    assert box.run("find /proc -maxdepth 1 -user coo-llm") == ""

    install(box, package)
    assert box.run("systemctl is-active coo-llm.socket coo-llm.service").split() == ["active"] * 2
    assert service.chat()
    service.box.run("systemctl stop coo-llm.service")
    assert service.chat()  # the socket is where it listens: who comes starts it

    box.run("apt-get purge -qq coo-llm >/dev/null")
    assert units(box) == ""


def units(box: Box) -> str:
    """Those of the package that run, or have failed."""
    return box.run("systemctl list-units --plain --no-legend 'coo-llm*'")


@contextmanager
def clients(box: Box) -> Iterator[None]:
    """While it lasts, somebody connects all the time."""
    coming = f"while :; do curl -s -o /dev/null {URL}/health; sleep 0.01; done"
    with subprocess.Popen(box.on_its_network("sh", "-c", coming)) as process:
        try:
            yield
        finally:
            process.kill()
