"""What is left: of a removed package what it was told and has counted, of a purged one nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.package.box import LATER, Box
from tests.package.service import CONFIG, Service, install

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
