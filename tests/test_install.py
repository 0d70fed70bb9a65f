"""Installed as ``pipx`` does it, from a source distribution and without the repository: the command works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from gateway import __version__
from tests.fakes.daemon import ROOT

_KINDS = ("providers", "sinks", "stores")
_SDIST = "import sys, setuptools.build_meta as backend; backend.build_sdist(sys.argv[1])"
_WHEEL = ("-m", "pip", "wheel", "-q", "--no-index", "--no-deps", "--no-build-isolation", "-w")
_INSTALL = ("install", "-q", "--no-index", "--no-deps", "--no-compile")
_ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def run(*command: str | Path, folder: Path) -> str:
    """What a command prints; it must succeed, and be silent otherwise."""
    done = subprocess.run(command, cwd=folder, env=_ENVIRON, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made from the source distribution, so that what that lacks is missing here as well."""
    folder = tmp_path_factory.mktemp("dist")
    unwanted = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build", "tests")
    shutil.copytree(ROOT, folder / "clone", ignore=unwanted)
    run(sys.executable, "-c", _SDIST, folder, folder=folder / "clone")
    [sdist] = folder.glob("*.tar.gz")
    run(sys.executable, *_WHEEL, folder, sdist, folder=folder)
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The ``bin`` of a virtual environment of its own, which borrows nothing but the dependencies."""
    venv = wheel.parent / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv, folder=wheel.parent)
    python = venv / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, *_INSTALL, wheel, folder=wheel.parent)
    [packages] = venv.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return venv / "bin"


def test_everything_is_inside(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        str(path.relative_to(base))
        for base, package in [(ROOT, "gateway"), *((ROOT / "plugins", f"gateway_{kind}") for kind in _KINDS)]
        for path in (base / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"gateway/config/schema.json", "gateway/config/starter.yaml"} <= wanted
    assert wanted <= inside
    assert {name for name in inside - wanted if ".dist-info/" not in name} == set()


def test_the_command(installed: Path, tmp_path: Path) -> None:
    command = installed / "coo-llm"
    assert run(command, "--version", folder=tmp_path) == f"coo-llm {__version__}\n"
    assert "FAILED" not in run(command, "plugins", folder=tmp_path)
    run(command, "init", "mine.yaml", folder=tmp_path)
    assert "valid" in run(command, "check", "mine.yaml", folder=tmp_path)
    where = run(installed / "python", "-c", "import gateway; print(gateway.__file__)", folder=tmp_path)
    assert Path(where).is_relative_to(installed.parent)


def test_the_demo_answers(installed: Path, tmp_path: Path) -> None:
    command = [str(installed / "coo-llm"), "demo", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, env=_ENVIRON, stdout=subprocess.PIPE, text=True) as demo:
        try:
            assert demo.stdout is not None
            shown = ""
            while "Request log:" not in shown and (line := demo.stdout.readline()):
                shown += line
        finally:
            demo.terminate()
    assert "You said: Hello from a chat" in shown
    assert "You said: Hello from a stream" in shown
    assert demo.returncode == 0
