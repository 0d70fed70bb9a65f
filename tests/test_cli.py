"""The command line: what it runs, prints and returns."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from argon2 import PasswordHasher

from gateway import __version__, cli
from gateway.audit import AuditLog
from gateway.config.known import Known
from gateway.config.problems import ConfigError, Problem
from gateway.registry import Listed, Registry

VALID = "llm_providers: [{type: echo}]\n"
KNOWN = Known(
    frozenset({"echo", "openai"}),
    frozenset({"memory", "file"}),
    frozenset(),
    frozenset({"hybrid"}),
    frozenset({"memory", "file"}),
)


class FakeRegistry:
    """What is installed, without importing any of it."""

    def known(self) -> Known:
        return KNOWN

    def listing(self) -> list[Listed]:
        return [
            Listed("providers", "echo", "coo-llm", "1.0", None),
            Listed("providers", "acme", "coo-acme", "0.1", "ImportError: no acme"),
        ]


def module(monkeypatch: pytest.MonkeyPatch, name: str, **names: object) -> None:
    """Stand in for a module that a command imports when it needs it."""
    fake = ModuleType(name)
    for attribute, value in names.items():
        setattr(fake, attribute, value)
    monkeypatch.setitem(sys.modules, name, fake)


@pytest.fixture(autouse=True)
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registry, "discover", FakeRegistry)
    module(monkeypatch, "gateway.instances", build_plugins=lambda *_: None, installed=lambda _: KNOWN)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(VALID)
    return path


@pytest.fixture
def own_signals() -> Iterator[None]:
    """Puts back what the command does with signals."""
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("own_signals")
@pytest.mark.parametrize("option", ["-c", "--config", "-config"])
def test_serve(monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    served: list[str] = []

    def run(path: str) -> int:
        served.append(path)
        return 3

    module(monkeypatch, "gateway.daemon", run=run)
    assert cli.main([option, "some.yaml"]) == 3
    assert served == ["some.yaml"]


@pytest.mark.parametrize(("arguments", "port"), [([], 2906), (["--port", "0"], 0)])
def test_demo(monkeypatch: pytest.MonkeyPatch, arguments: list[str], port: int) -> None:
    ports: list[int] = []

    def demo(port: int) -> int:
        ports.append(port)
        return 0

    module(monkeypatch, "gateway.demo", demo=demo)
    assert cli.main(["demo", *arguments]) == 0
    assert ports == [port]


@pytest.mark.parametrize("style", ["check", "validate"])
def test_check(path: Path, capsys: pytest.CaptureFixture[str], style: str) -> None:
    def check() -> int:
        return cli.main(["check", str(path)] if style == "check" else ["-c", str(path), "--validate"])

    path.write_text(VALID + "server: {admin_api_key: weak}\n")
    assert check() == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{path}: valid (configuration ")
    assert captured.err.startswith("warning: server.admin_api_key: is weak")
    path.write_text("llm_providers: [{type: echo, model: 5}]\nserver: {lisen: x}\n")
    assert check() == 1
    assert capsys.readouterr().err.splitlines() == [
        "llm_providers.0.model: must be text: put it in quotes (got 5) [line 1]",
        'server.lisen: unknown setting; did you mean "listen"? [line 2]',
    ]


def test_check_asks_the_plugins(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise ConfigError([Problem("llm_providers.0.delay", None, "must be a number")])

    module(monkeypatch, "gateway.instances", build_plugins=refuse, installed=lambda _: KNOWN)
    assert cli.main(["check", str(path)]) == 1
    assert capsys.readouterr().err == "llm_providers.0.delay: must be a number\n"


def test_a_missing_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "/does/not/exist"]) == 1
    assert capsys.readouterr().err == "cannot read /does/not/exist: No such file or directory\n"


def test_init(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new.yaml"
    assert cli.main(["init", str(path)]) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    printed = capsys.readouterr().out
    assert f"coo-llm -c {path}" in printed
    assert "curl http://127.0.0.1:2906/v1/models" in printed
    assert "sk-coo-" not in printed
    assert cli.main(["check", str(path)]) == 0
    assert capsys.readouterr().err == ""


def test_init_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("mine")
    link = tmp_path / "link.yaml"
    link.symlink_to(tmp_path / "nowhere")
    for taken in (path, link):
        assert cli.main(["init", str(taken)]) == 1
        assert "exists already" in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("path", ["/does/not/exist.yaml", "/proc/new.yaml", "a\0b"])
def test_init_where_it_cannot_write(capsys: pytest.CaptureFixture[str], path: str) -> None:
    assert cli.main(["init", path]) == 1
    assert capsys.readouterr().err.startswith("cannot write ")


def test_hash_password(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("open sesame\n"))
    assert cli.main(["hash-password"]) == 0
    assert PasswordHasher().verify(capsys.readouterr().out.strip(), "open sesame")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert cli.main(["hash-password"]) == 1
    assert capsys.readouterr().err == "the password is empty\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xe9t\xe9"), errors="surrogateescape"))
    assert cli.main(["hash-password"]) == 1
    assert capsys.readouterr().err == "the password is not valid UTF-8 text\n"
    monkeypatch.setattr("sys.stdin", None)
    assert cli.main(["hash-password"]) == 1
    assert capsys.readouterr().err == "no password was given\n"


@pytest.mark.parametrize("module", ["pydantic", "gateway.daemon"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGHUP, 1)])
def test_signals_are_heeded_while_modules_are_loaded(
    tmp_path: Path, module: str, number: signal.Signals, code: int
) -> None:
    """None kills it; where it goes on, it finds no configuration."""
    program = f"""if True:
        import os, sys
        class Finder:
            def find_spec(self, name, *_):
                if name == {module!r}:
                    os.kill(os.getpid(), {int(number)})
        sys.meta_path.insert(0, Finder())
        from gateway.cli import main
        sys.exit(main(["-c", "config.yaml"]))"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "config.yaml" in done.stderr) == (code, code == 1), done.stderr
    assert "Traceback" not in done.stderr


_FULL = "cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize(
    ("command", "output", "code", "said"),
    [
        ("plugins", "/dev/full", 1, _FULL),
        ("--version", "/dev/full", 1, _FULL),
        ("check --help", "/dev/full", 1, _FULL),
        ("plugins", "&-", 0, ""),
    ],
)
def test_output_that_nothing_can_be_written_to(command: str, output: str, code: int, said: str) -> None:
    line = f"exec {sys.executable} -m gateway {command} >{output}"
    done = subprocess.run(["sh", "-c", line], stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, said)


def test_plugins(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plugins"]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["providers", "echo", "coo-llm", "1.0"],
        ["providers", "acme", "coo-acme", "0.1", "FAILED:", "ImportError:", "no", "acme"],
    ]


def test_audit_verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "audit.log"
    log = AuditLog(str(path))
    for number in range(3):
        log.append({"number": number})
    assert cli.main(["audit", "verify", str(path)]) == 0
    assert f"{path}: 3 lines, the chain is whole" in capsys.readouterr().out
    path.write_text(path.read_text().replace('"number":1', '"number":2'))
    assert cli.main(["audit", "verify", str(path)]) == 1
    assert f"{path}: line 3 does not follow" in capsys.readouterr().err


def test_audit_verify_without_a_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["audit", "verify"]) == 1
    assert capsys.readouterr().err == "cannot read ./logs/audit.log: No such file or directory\n"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        cli.main(["--version"])
    assert exit.value.code == 0
    assert capsys.readouterr().out == f"coo-llm {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--validate"],
        ["-c"],
        ["nonsense"],
        ["check"],
        ["audit"],
        ["demo", "--port", "65536"],
        ["demo", "--port", "x"],
        ["check", ""],
        ["-c", ""],
        ["-c", "a.yaml", "check", "b.yaml"],
        ["--validate", "demo"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        cli.main(arguments)
    assert exit.value.code == 2
    assert capsys.readouterr().err.startswith("usage: coo-llm")


def test_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(port: int) -> int:
        raise KeyboardInterrupt

    module(monkeypatch, "gateway.demo", demo=interrupt)
    assert cli.main(["demo"]) == 130


@pytest.fixture
def closed_pipe() -> Iterator[int]:
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


def test_output_that_nobody_reads(closed_pipe: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "plugins"],
        stdout=closed_pipe,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert (done.returncode, done.stderr) == (0, b"")
