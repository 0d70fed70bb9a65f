"""What the documents show to be copied can be used as it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from gateway.config.read import read
from gateway.instances import installed
from gateway.registry import Registry

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"^\.\. code-block:: yaml\n\n((?:   .*\n|\n)+)", re.MULTILINE)


def examples() -> Iterator[object]:
    """Every block that configures a provider; those of plugins.rst have a test of their own."""
    for page in sorted(DOCS.rglob("*.rst")):
        for i, block in enumerate(_BLOCK.findall(page.read_text())):
            if block.lstrip().startswith("llm_providers:") and page.name != "plugins.rst":
                yield pytest.param(dedent(block), id=f"{page.relative_to(DOCS)}-{i}")


@pytest.mark.parametrize("text", [*examples()])
def test_an_example_is_valid(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    environ = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "sk-of-the-environment")
    assert read(path, environ, installed(Registry.discover())).config.llm_providers
