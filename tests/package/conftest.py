"""The package, built once; the system that boxes are copies of; each module's box, with the service in it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.package.box import Box, booted, bootstrap, may_boot
from tests.package.service import Service, install

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def package() -> Path:
    """The package, built as documented."""
    return build()


def build() -> Path:
    """Build the package; raises `AssertionError` if that fails."""
    done = subprocess.run(["bash", "debian/build"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return ROOT / done.stdout.strip()


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A minimal Debian 12, not running."""
    if not may_boot():
        pytest.skip("no rights to mount and to make namespaces")
    root = tmp_path_factory.mktemp("base") / "root"
    bootstrap(root)
    yield root
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def box(base: Path) -> Iterator[Box]:
    """A running minimal Debian 12."""
    with booted(base) as running:
        yield running


@pytest.fixture(scope="module")
def service(box: Box, package: Path) -> Service:
    """The service, just installed."""
    install(box, package)
    return Service(box)
