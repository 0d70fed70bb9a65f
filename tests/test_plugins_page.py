"""``docs/plugins.rst`` keeps its word: its package is installed, tested, listed and used as it says."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import docutils.core
import orjson
import pytest
import yaml
from docutils import nodes

from tests.daemon.command import coo_llm
from tests.daemon.running import ADMIN, ADMIN_KEY, HELLO
from tests.fakes.daemon import ROOT, Daemon
from tests.fakes.openai import FakeOpenAI
from tests.fakes.openai_errors import error
from tests.fakes.upstream import Recorded

KEY = "acme-key-of-the-test"
INSTALL = ("-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-build-isolation", "--target")


@dataclass(frozen=True, slots=True)
class Page:
    """What the page names, in files, and its package, installed."""

    blocks: Mapping[str, str]
    source: Path
    site: Path


def environment(site: Path) -> dict[str, str]:
    """In which the gateway is, and beside it what is installed in ``site``."""
    return {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "plugins", site)))}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder = tmp_path_factory.mktemp("page")
    source, site = folder / "coo-acme", folder / "site"
    document = docutils.core.publish_doctree((ROOT / "docs/plugins.rst").read_text())
    blocks = {
        name: block.astext() for block in document.findall(nodes.literal_block) for name in block["names"]
    }
    for name, text in {**blocks, "coo_acme/__init__.py": ""}.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text + "\n")
    subprocess.run([sys.executable, *INSTALL, str(site), str(source)], check=True)
    return Page(blocks, source, site)


def test_the_package_passes_its_own_tests(page: Page) -> None:
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    environ = {**os.environ, **environment(page.site)}
    done = subprocess.run(command, cwd=page.source, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_the_package_can_be_installed_where_the_gateway_has_run(page: Page, tmp_path: Path) -> None:
    source = shutil.copytree(page.source, tmp_path / "coo-acme")
    for made in ("data", "logs"):
        (source / made).mkdir()
    done = subprocess.run(
        [sys.executable, *INSTALL, str(tmp_path / "site"), str(source)], capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()


async def test_the_list_of_plugins(page: Page, tmp_path: Path) -> None:
    listed = await coo_llm("plugins", folder=tmp_path, env=environment(page.site))
    ours = [line for line in listed.out.splitlines() if " coo-acme " in line]
    assert ours == page.blocks["plugins.txt"].splitlines()


async def test_a_plugin_that_does_not_load(page: Page, tmp_path: Path) -> None:
    site = shutil.copytree(page.site, tmp_path / "site")
    (site / "coo_acme" / "provider.py").write_text("import acme_sdk\n")
    listed = await coo_llm("plugins", folder=tmp_path, env=environment(site))
    assert page.blocks["failed.txt"] in listed.out.splitlines()


async def test_what_is_said_of_wrong_settings(page: Page) -> None:
    done = await coo_llm("check", "wrong.yaml", folder=page.source, env=environment(page.site))
    assert done.code == 1
    assert done.err.splitlines() == page.blocks["wrong.txt"].splitlines()


class FakeAcme(FakeOpenAI):
    """Wants every request signed, and keeps the regions that it was asked for."""

    models = ("large",)

    def __init__(self) -> None:
        super().__init__()
        self.regions: list[str | None] = []

    def authorize(self, request: Recorded) -> None:
        wanted = hmac.new(KEY.encode(), request.body, hashlib.sha256).hexdigest()
        if request.headers.get("x-acme-signature") != wanted:
            raise error("wrong signature", status=401)
        self.regions.append(request.headers.get("x-acme-region"))


@asynccontextmanager
async def collector() -> AsyncIterator[tuple[int, list[dict[str, Any]]]]:
    """A port, and the lines that arrived there."""
    lines: list[dict[str, Any]] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.extend(map(orjson.loads, (await reader.read()).splitlines()))
        writer.close()

    async with await asyncio.start_server(take, "127.0.0.1") as server:
        yield server.sockets[0].getsockname()[1], lines


async def test_the_gateway_uses_all_three(page: Page, tmp_path: Path) -> None:
    config = yaml.safe_load(page.blocks["config.yaml"])
    config["server"] = {"admin_api_key": ADMIN_KEY}
    env = {**environment(page.site), "ACME_KEY": KEY}
    async with FakeAcme() as acme, collector() as (port, lines):
        config["logging"]["providers"][0]["port"] = port
        for provider in config["llm_providers"]:
            provider["base_url"] = acme.url
        async with Daemon(config, tmp_path, env=env) as daemon, aiohttp.ClientSession(daemon.url) as session:
            chat = {"model": "large", "messages": HELLO}
            async with session.post("/v1/chat/completions", json=chat) as response:
                assert response.status == 200, await response.text()
                assert response.headers["x-coo-provider"] == "acme-us"
            async with session.post("/v1/chat/completions", json={**chat, "stream": True}) as response:
                assert (await response.text()).endswith("data: [DONE]\n\n")
            async with session.post("/admin/v1/route", json=chat, headers=ADMIN) as response:
                candidates = (await response.json())["candidates"]
    assert acme.regions == ["us", "us"]
    assert [(found["provider"], list(found["terms"])) for found in candidates] == [
        ("acme-us", ["cost"]),
        ("acme-eu", ["cost"]),
    ]
    assert [(line["message"], line["provider"], line["stream"]) for line in lines] == [
        ("request", "acme-us", False),
        ("request", "acme-us", True),
    ]
