"""Shell completion: each shell offers what the command line's parser knows, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command_line import commands, explanations, options, subcommands
from tests.fakes.daemon import ROOT

FOLDER = ROOT / "etc" / "completion"
COMMANDS = dict(commands())

BASH = r"""
source "$1/coo-llm.bash"
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_coo_llm
printf '%s\n' "${COMPREPLY[@]}"
"""
FISH = r"""
source $argv[1]/coo-llm.fish
complete --do-complete "$argv[2..]" | string replace --regex "\\t.*" ""
true
"""
ZSHRC = r"""
fpath=($FOLDER $fpath)
autoload -Uz compinit
compinit -u -D
compadd() {
    local -a found
    [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]] || builtin compadd -A found "$@"
    print -rl -- $found >>$FOUND
    builtin compadd "$@"
}
offer() { zle list-choices; exit }
zle -N offer
bindkey '^I' offer
PS1=READY
"""
"""Of a shell at a terminal: what is offered passes through ``compadd``, and with that it ends."""
ZSH = r"""
zmodload zsh/zpty
zpty shell env ZDOTDIR=$PWD FOLDER=$1 FOUND=$2 zsh -d -i
zpty -r shell shown '*READY*'
zpty -n -w shell "${*[3,-1]}"$'\t'
while zpty -r shell shown; do :; done
"""


def run(shell: str, script: str, *arguments: str | Path, folder: Path) -> str:
    env = {**os.environ, "HOME": str(folder), "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    before = {"bash": ["--norc", "-c", script, "bash"], "fish": ["--no-config", "-c", script]}
    command = [shell, *before.get(shell, ["-f", "-c", script, "zsh"]), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True).stdout


def bash(folder: Path, words: list[str]) -> str:
    return run("bash", BASH, FOLDER, *words, folder=folder)


def fish(folder: Path, words: list[str]) -> str:
    return run("fish", FISH, FOLDER, *words, folder=folder)


def zsh(folder: Path, words: list[str]) -> str:
    found = folder / "found"
    found.touch()
    (folder / ".zshrc").write_text(ZSHRC)
    run("zsh", ZSH, FOLDER, found, *words, folder=folder)
    text = found.read_text()
    found.unlink()
    return text


@pytest.fixture(params=[bash, fish, zsh])
def offered(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., set[str]]:
    """What the shell offers after some words and the beginning of another one."""
    shell: Callable[[Path, list[str]], str] = request.param
    if shutil.which(shell.__name__) is None:
        pytest.skip(f"{shell.__name__} is not installed")
    (tmp_path / "mine.yaml").touch()
    (tmp_path / "audit.log").touch()
    return lambda *words: set(shell(tmp_path, ["coo-llm", *words]).split("\n")) - {""}


@pytest.mark.parametrize("words", COMMANDS)
def test_options(words: tuple[str, ...], offered: Callable[..., set[str]]) -> None:
    assert offered(*words, "-") == options(COMMANDS[words])


@pytest.mark.parametrize("words", [words for words, parser in COMMANDS.items() if subcommands(parser)])
def test_commands(words: tuple[str, ...], offered: Callable[..., set[str]]) -> None:
    assert {word for word in offered(*words, "") if word[0] != "-"} == set(subcommands(COMMANDS[words]))


@pytest.mark.parametrize("words", [("-c",), ("--config",), ("check",), ("init",), ("revert",)])
def test_configurations(words: tuple[str, ...], offered: Callable[..., set[str]]) -> None:
    assert offered(*words, "mi") == {"mine.yaml"}


def test_the_audit_log(offered: Callable[..., set[str]]) -> None:
    assert offered("audit", "verify", "au") == {"audit.log"}


def test_nothing_but_a_file_after_the_option_for_one(offered: Callable[..., set[str]]) -> None:
    assert offered("-c", "che") == set()


@pytest.mark.parametrize("name", ["_coo-llm", "coo-llm.fish"])
def test_explanations_are_those_of_the_help(name: str) -> None:
    text = (FOLDER / name).read_text().replace("'\\''", "'").replace("\\:", ":")
    for parser in COMMANDS.values():
        for explanation in explanations(parser):
            assert explanation in text
