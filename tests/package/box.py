"""A minimal Debian 12 that is booted with its own systemd, and has no network but its loopback interface."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.daemon.children import children

RELEASES = ("bookworm", "bookworm-updates", "bookworm-security")
LATER = ("python3", "python3.11", "redis-server")
"""What is installed in boxes, which have no network: it is fetched beforehand."""
_BOOTED = 60.0
"""Seconds for a box to boot."""


def may_boot() -> bool:
    """Whether this process has the rights: to be root, to mount, and to make namespaces."""
    probe = ("unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--fork")
    mounting = ("mount", "-t", "tmpfs", "none", "/mnt")
    return os.geteuid() == 0 and subprocess.run([*probe, *mounting], capture_output=True).returncode == 0


def bootstrap(root: Path) -> None:
    """Make a minimal system in ``root``, from the mirrors that this machine's apt is set to use.

    In a mount namespace of its own: whatever happens to it, who removes ``root`` finds none of this machine's
    ``/dev`` in it.
    """
    fetching = f'chroot "$1" apt-get install -qq --download-only --no-install-recommends {" ".join(LATER)}'
    alone = ("unshare", "--mount", "mmdebstrap", "--quiet", "--variant=apt", "--skip=cleanup/apt")
    options = ("--include=systemd-sysv,dbus,curl", f"--customize-hook={fetching} >&2")
    command = [*alone, *options, RELEASES[0], str(root), "-"]
    done = subprocess.run(command, input="\n".join(_mirrors()), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _mirrors() -> list[str]:
    form = "deb $(SITE) $(RELEASE) $(COMPONENT)"
    command = ["apt-get", "indextargets", "--format", form, "Created-By: Packages", "Component: main"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in dict.fromkeys(lines) if line.split()[2] in RELEASES]


@contextmanager
def booted(base: Path) -> Iterator[Box]:
    """The system in ``base``, running. What changes is kept in memory until its end, and gone then."""
    quiet = ("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--console=pipe")
    process = subprocess.Popen(
        [*quiet, "--private-network", f"--directory={base}", "--volatile=overlay", "--boot"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
    )
    try:
        box = Box(process.pid)
        box.until("systemctl is-system-running --wait | grep -Ex 'running|degraded'", _BOOTED)
        yield box
    finally:
        for first in children(process.pid):
            first.send(signal.SIGKILL)  # all others of the box end with it
        process.wait()


class Box:
    """A running system; the process ``pid`` has started its first one."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def run(self, command: str) -> str:
        """What a shell's command prints in the box, errors included. Raises `AssertionError` if it fails."""
        code, output = self._run(command)
        assert code == 0, f"{command}: exit code {code}\n{output}"
        return output

    def failing(self, command: str) -> str:
        """What a command prints that has to fail."""
        code, output = self._run(command)
        assert code != 0, f"{command}: does not fail\n{output}"
        return output

    def until(self, command: str, seconds: float = 30.0) -> None:
        """Wait until a command succeeds."""
        deadline = time.monotonic() + seconds
        while self._run(command)[0] != 0:
            assert time.monotonic() < deadline, f"{command}: not within {seconds} seconds"
            time.sleep(0.1)

    def on_its_network(self, *command: str) -> Sequence[str]:
        """The command line that runs one of this machine's commands with nothing but the box's network."""
        return self._entering("--net", *command)

    def path(self, path: str) -> Path:
        """A file of the box, as seen from outside."""
        return Path(f"/proc/{self._first()}/root{path}")

    def _first(self) -> int:
        """Its first process, as seen from outside; 0: not yet there."""
        return next((child.pid for child in children(self._pid)), 0)

    def _run(self, command: str) -> tuple[int, str]:
        line = self._entering("--all", "--root", "--wd", "/bin/sh", "-c", command)
        environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(
            line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ, cwd="/"
        )
        return done.returncode, done.stdout

    def _entering(self, *command: str) -> Sequence[str]:
        return ("nsenter", f"--target={self._first()}", *command)
