"""Reading a configuration from text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from gateway.config.known import Known
from gateway.config.read import Loaded, read

Load = Callable[..., Loaded]

KNOWN = Known(
    providers=frozenset({"openai", "claude", "gemini", "custom", "echo", "groq"}),
    stores=frozenset({"memory", "file", "redis", "http"}),
    sinks=frozenset({"jsonl", "stdout", "webhook"}),
    algorithms=frozenset({"round_robin", "least_loaded", "hybrid", "adaptive"}),
    config_stores=frozenset({"memory", "file", "redis", "http"}),
)
ECHO = "llm_providers: [{type: echo}]\n"


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Reads YAML text as a configuration file; raises as `read` does."""

    def load(text: str, environ: Mapping[str, str] | None = None) -> Loaded:
        path = tmp_path / "config.yaml"
        path.touch(0o600)
        path.write_text(dedent(text))
        return read(str(path), environ or {}, KNOWN)

    return load
