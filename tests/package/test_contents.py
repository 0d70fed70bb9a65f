"""The package's file: what is in it, what Debian's checks say, and that it can be built again."""

from __future__ import annotations

import configparser
import hashlib
import re
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gateway import __version__
from tests.package.conftest import build

pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tree(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What it installs, and its control files below ``DEBIAN``."""
    folder = tmp_path_factory.mktemp("package") / "tree"
    subprocess.run(["dpkg-deb", "--raw-extract", package, folder], check=True)
    return folder


def test_versions_agree(package: Path) -> None:
    assert package.name == f"coo-llm_{__version__}_amd64.deb"


def test_lintian_finds_no_errors(package: Path) -> None:
    done = subprocess.run(
        ["lintian", "--allow-root", "--fail-on=error", package], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_it_holds_neither_scripts_nor_bytecode_nor_traces_of_the_build(tree: Path) -> None:
    venv = tree / "usr/lib/coo-llm"
    assert {path.name for path in (venv / "bin").iterdir()} == {"python", "python3", "python3.11"}
    assert list(venv.rglob("*.pyc")) == list(venv.rglob("direct_url.json")) == []
    assert str(ROOT) not in (venv / "pyvenv.cfg").read_text()
    assert {path.name for path in tree.iterdir()} == {"DEBIAN", "etc", "lib", "usr"}


def test_scripts_by_hand_are_only_for_removal_and_purge(tree: Path) -> None:
    by_hand = {path.name for path in (ROOT / "debian").iterdir()} & {
        f"coo-llm.{name}" for name in ("preinst", "postinst", "prerm", "postrm")
    }
    assert by_hand == {"coo-llm.prerm", "coo-llm.postrm"}
    assert (tree / "DEBIAN/conffiles").read_text() == "/etc/coo-llm/config.yaml\n"


def test_what_operators_look_for_is_there(tree: Path) -> None:
    for path in (
        "usr/share/man/man8/coo-llm.8.gz",
        "usr/share/man/man5/coo-llm.yaml.5.gz",
        "usr/share/bash-completion/completions/coo-llm",
        "usr/share/doc/coo-llm/debian.rst",
        "usr/share/doc/coo-llm/examples/config.yaml",
    ):
        assert (tree / path).is_file(), path


def test_documents_name_what_is_there(tree: Path) -> None:
    texts = (*ROOT.glob("docs/**/*.rst"), *ROOT.glob("systemd/*"), ROOT / "debian/config.yaml")
    named = re.compile(r"/usr/share/doc/coo-llm/[\w./-]*[\w/]")
    paths = {path for text in texts for path in named.findall(text.read_text())}
    assert "/usr/share/doc/coo-llm/debian.rst" in paths
    assert [path for path in paths if not (tree / path[1:]).exists()] == []


def test_the_lock_holds_what_setup_cfg_asks_for_and_names_no_registry() -> None:
    lines = (ROOT / "debian/requirements.lock").read_text().splitlines()[1:]
    found = [re.fullmatch(r"([\w-]+)==([\w.]+) --hash=sha256:[0-9a-f]{64}", line) for line in lines]
    pinned = {canonicalize_name(match[1]): match[2] for match in found if match}
    assert len(pinned) == len(lines)
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    for line in config["options"]["install_requires"].split("\n"):
        if line:
            wanted = Requirement(line)
            assert pinned[canonicalize_name(wanted.name)] in wanted.specifier, line


def test_two_builds_are_identical(package: Path, long_run: bool) -> None:
    if not long_run:
        pytest.skip("only with --long")
    first = hashlib.sha256(package.read_bytes()).hexdigest()
    assert hashlib.sha256(build().read_bytes()).hexdigest() == first


def test_piuparts(package: Path, request: pytest.FixtureRequest, tmp_path: Path, long_run: bool) -> None:
    if not long_run:
        pytest.skip("only with --long")
    base: Path = request.getfixturevalue("base")
    done = subprocess.run(
        ["piuparts", "--distribution=bookworm", "--keep-sources-list", f"--existing-chroot={base}", package],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-5000:]
