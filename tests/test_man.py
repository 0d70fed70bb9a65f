"""The man pages: rendered without a warning, true to the command line and the configuration."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.config.schema import Config
from gateway.daemon import CANNOT_BIND, IN_USE, INVALID
from tests.architecture.test_documented import settings
from tests.command_line import commands, options
from tests.fakes.daemon import ROOT

PAGES = ("coo-llm.8", "coo-llm.yaml.5")
MAN = shutil.which("man")
SECTIONS = ("NAME", "SYNOPSIS", "DESCRIPTION", "FILES", "EXAMPLES", "SEE ALSO")
OF_A_COMMAND = ("COMMANDS", "OPTIONS", "SIGNALS", "EXIT STATUS", "ENVIRONMENT")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder they are in, made as a package makes them."""
    folder = tmp_path_factory.mktemp("man") / "new"
    command = [sys.executable, str(ROOT / "docs/man/render.py"), str(folder)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def text_of(page: Path) -> str:
    """The page's words, without what roff adds to them."""
    return re.sub(r"\\f[BIPR]|\\", "", page.read_text())


def test_all_are_made(pages: Path) -> None:
    assert sorted(path.name for path in pages.iterdir()) == sorted(PAGES)


@pytest.mark.parametrize(("page", "sections"), [(PAGES[0], (*SECTIONS, *OF_A_COMMAND)), (PAGES[1], SECTIONS)])
def test_sections(pages: Path, page: str, sections: tuple[str, ...]) -> None:
    found = re.findall(r"^\.SH (.*)$", (pages / page).read_text(), re.MULTILINE)
    assert set(sections) <= {name.upper() for name in found}


@pytest.mark.skipif(MAN is None, reason="man is not installed")
@pytest.mark.parametrize("page", PAGES)
def test_man_has_nothing_to_say_about(pages: Path, page: str) -> None:
    assert MAN is not None
    env = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"}
    done = subprocess.run(
        [MAN, "--warnings", "-l", pages / page], capture_output=True, text=True, env=env, check=True
    )
    assert done.stderr == ""
    assert [line for line in done.stdout.splitlines() if len(line) > 80] == []


def test_files_have_the_paths_that_they_are_installed_under(pages: Path) -> None:
    _, _, files = (pages / "coo-llm.yaml.5").read_text().partition("\n.SH FILES\n")
    named = re.findall(r"^\.TP\n\.B \\fB(.*)\\fP$", files, re.MULTILINE)
    assert len(named) > 2
    assert [path for path in named if not path.startswith("/")] == []


def test_every_command_and_option(pages: Path) -> None:
    text = text_of(pages / "coo-llm.8")
    for words, parser in commands():
        assert " ".join(("coo-llm", *words)) in text
        for option in options(parser):
            assert re.search(rf"(?<![\w-]){option}\b", text), option


@pytest.mark.parametrize("code", [0, INVALID, 2, CANNOT_BIND, IN_USE])
def test_every_exit_status(pages: Path, code: int) -> None:
    text = text_of(pages / "coo-llm.8")
    assert re.search(rf"^\.B {code}$", text[text.upper().index(".SH EXIT STATUS") :], re.MULTILINE)


@pytest.mark.parametrize("name", sorted(set(settings(Config, set())) - {"settings"}))
def test_every_setting(pages: Path, name: str) -> None:
    assert re.search(rf"\b{name}\b", text_of(pages / "coo-llm.yaml.5"))
