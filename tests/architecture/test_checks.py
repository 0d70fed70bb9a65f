"""The tools that read the code: formatting, lint, types, and who may import whom."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("command", [("ruff", "check", "."), ("ruff", "format", "--check", ".")])
def test_ruff(command: tuple[str, ...]) -> None:
    result = run(BIN / command[0], *command[1:])
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.timeout(600)
def test_mypy() -> None:
    result = run(BIN / "mypy")
    assert result.returncode == 0, result.stdout + result.stderr


def test_import_contracts() -> None:
    result = run(BIN / "lint-imports")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "planted"),
    [
        ("gateway/api/usage.py", "import gateway.config.schema"),
        ("gateway/routing/health.py", "import gateway.request.plan"),
        ("gateway/vault.py", "import gateway.logs"),
        ("gateway/of_no_layer.py", ""),
        ("gateway/catalog.py", "import gateway_providers.openai"),
        ("gateway/dialects/sse.py", "import aiohttp"),
        ("gateway/dialects/responses/replay.py", "import asyncio"),
        ("plugins/gateway_providers/echo.py", "import gateway.catalog"),
        ("plugins/gateway_stores/file.py", "import gateway.vault"),
        ("plugins/gateway_sinks/stdout.py", "from gateway import __version__"),
    ],
)
def test_import_contracts_see_a_violation(tmp_path: Path, module: str, planted: str) -> None:
    for name in ("gateway", "plugins", "setup.cfg"):
        run("cp", "-r", ROOT / name, tmp_path)
    with (tmp_path / module).open("a") as file:
        file.write(f"\n{planted}\n")
    code = (
        "import sys; sys.path[:0] = ['.', 'plugins']\n"
        "from importlinter.cli import lint_imports_command as c; c()"
    )
    result = run(sys.executable, "-c", code, "--no-cache", cwd=tmp_path)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "BROKEN" in result.stdout
