"""The command line as a user meets it: exit codes, one line for each error, and never a traceback."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import yaml

from gateway import __version__
from tests.daemon.command import Done, coo_llm
from tests.fakes.daemon import ROOT, Daemon

ECHO = "llm_providers: [{type: echo, model: m}]\n"


async def check(folder: Path, text: str) -> Done:
    (folder / "c.yaml").write_text(text)
    done = await coo_llm("check", "c.yaml", folder=folder)
    assert "Traceback" not in done.err
    return done


def installed(folder: Path, entry_points: str, name: str = "coo-acme", **modules: str) -> dict[str, str]:
    """The environment in which a distribution stands beside the gateway."""
    site = folder / "site"
    info = site / f"{name.replace('-', '_')}-0.1.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(entry_points)
    for module, source in modules.items():
        (site / f"{module}.py").write_text(source)
    return {"PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}:{site}"}


async def test_every_error_at_once(tmp_path: Path) -> None:
    text = """
server: {listen: nowhere, lisen: x, drain_timeout: soon}
llm_providers:
  - {id: a, type: echo, token_ms: slow, rate: 5}
  - {id: b, type: openai, api_keys: ["${NOT_SET}"]}
  - {id: b, type: echoo}
api_keys: [{key: k, allowed_providers: [c]}]
policy: {algorithm: hybird, retry: {max_attempts: none}}
"""
    done = await check(tmp_path, text)
    assert (done.code, done.out) == (1, "")
    lines = done.err.splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        "server.listen",
        "server.drain_timeout",
        "server.lisen",
        "llm_providers.0.rate",
        "llm_providers.0.token_ms",
        "llm_providers.1.api_keys.0",
        "llm_providers.2.id",
        "llm_providers.2.type",
        "api_keys.0.allowed_providers.0",
        "policy.retry.max_attempts",
        "policy.algorithm",
    ]
    assert "NOT_SET" in lines[5]


async def test_errors_of_plugins_are_told_beside_others(tmp_path: Path) -> None:
    text = """
llm_providers:
  - {id: a, type: openai, api_keys: [k], model: m, bogus: 1}
  - {id: b, type: opnai, api_keys: [k], model: m}
logging: {providers: [{name: w, type: webhook}, {name: stderr, type: stdout}]}
storage: {runtime: {type: redis, addr: "ftp://x"}, config: {type: memory, bogus: 1}}
policy: {algorithm: zz}
"""
    done = await check(tmp_path, text)
    lines = done.err.splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        "llm_providers.0.bogus",
        "llm_providers.1.type",
        "logging.providers.0.endpoint",
        "logging.providers.1.name",
        "storage.config.bogus",
        "storage.runtime.addr",
        "policy.algorithm",
    ]
    assert [line.split(" [line ")[1] for line in lines] == ["3]", "4]", "5]", "5]", "6]", "6]", "7]"]


async def test_every_error_of_plugins_at_once(tmp_path: Path) -> None:
    text = """
logging:
  providers: [{type: webhook, endpoint: "https://hooks.example.com", secret: ""}, {type: stdout, color: true}]
llm_providers:
  - {id: a, type: echo, token_ms: slow, replly: x}
  - {id: b, type: echo, failure_rate: [1]}
"""
    done = await check(tmp_path, text)
    assert (done.code, done.out) == (1, "")
    lines = done.err.splitlines()
    assert {line.split(": ")[0] for line in lines} == {
        "llm_providers.0.token_ms",
        "llm_providers.0.replly",
        "llm_providers.1.failure_rate",
        "logging.providers.0.secret",
        "logging.providers.1.color",
    }
    assert [line.split(" [line ")[1] for line in lines] == ["3]", "3]", "5]", "5]", "6]"]
    assert 'llm_providers.0.token_ms: must be a number (got "slow") [line 5]' in lines
    assert any('did you mean "reply"?' in line for line in lines)
    assert any('(got "slow")' in line for line in lines)


@pytest.mark.parametrize("command", [("check", "c.yaml"), ("-c", "c.yaml", "--validate"), ("-c", "c.yaml")])
@pytest.mark.parametrize(
    ("section", "settings", "said"),
    [
        ("runtime", "{type: memory, bogus: 1}", ".bogus: 'memory' has no such setting"),
        ("runtime", '{type: redis, addr: "ftp://x"}', ".addr: must be host:6379, "),
        ("config", "{type: memory, bogus: 1}", ".bogus: 'memory' has no such setting"),
        ("config", '{type: redis, addr: "ftp://x"}', ".addr: must be host:6379, "),
    ],
)
async def test_settings_of_a_store(
    tmp_path: Path, command: tuple[str, ...], section: str, settings: str, said: str
) -> None:
    """What a start would refuse is refused before it."""
    (tmp_path / "c.yaml").write_text(f"{ECHO}storage: {{{section}: {settings}}}\n")
    done = await coo_llm(*command, folder=tmp_path)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"storage.{section}{said}")
    assert len(done.err.splitlines()) == 1


async def test_a_certificate_that_cannot_be_read_is_told_before_the_start(tmp_path: Path) -> None:
    done = await check(tmp_path, f"{ECHO}server: {{tls: {{cert_file: not-there.pem, key_file: key.pem}}}}\n")
    assert (done.code, done.out) == (1, "")
    assert done.err == "server.tls: cannot read not-there.pem\n"


async def test_a_store_that_does_not_import(tmp_path: Path) -> None:
    env = installed(tmp_path, "[coo_llm.stores]\nacme = acme_store:Acme\n", acme_store="import not_there\n")
    (tmp_path / "c.yaml").write_text(f"{ECHO}storage: {{runtime: {{type: acme}}}}\n")
    for command in (("check", "c.yaml"), ("-c", "c.yaml")):
        done = await coo_llm(*command, folder=tmp_path, env=env)
        assert done.code == 1
        assert "storage.runtime: the plugin 'acme' fails to import: ModuleNotFoundError" in done.err


@pytest.mark.parametrize("arguments", [("check", "c.yaml"), ("-c", "c.yaml", "--validate")])
async def test_a_good_one(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "c.yaml").write_text(ECHO)
    done = await coo_llm(*arguments, folder=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("c.yaml: valid")


@pytest.mark.parametrize("name", ["config.yaml", "demo.yaml"])
async def test_the_examples_are_valid(tmp_path: Path, name: str) -> None:
    env = dict.fromkeys(("DEMO_ADMIN_KEY", "DEMO_KEY", "DEMO_FOLDER"), "value-of-it-0123456789")
    done = await coo_llm("check", str(ROOT / "etc" / name), folder=tmp_path, env={**env, "DEMO_PORT": "1"})
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("command", ["check", "-c"])
@pytest.mark.parametrize(
    ("path", "reason"),
    [("missing.yaml", "No such file or directory"), (".", "Is a directory"), ("binary", "UTF-8")],
)
async def test_a_file_that_cannot_be_read(tmp_path: Path, command: str, path: str, reason: str) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    done = await coo_llm(command, path, folder=tmp_path)
    assert done.code == 1
    assert reason in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable for root")
async def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(ECHO)
    (tmp_path / "c.yaml").chmod(0)
    done = await coo_llm("-c", "c.yaml", folder=tmp_path)
    assert (done.code, done.err) == (1, "cannot read c.yaml: Permission denied\n")


@pytest.mark.parametrize(
    ("path", "reason"),
    [("file/coo-llm.log", "Not a directory"), (".", "Is a directory"), ("/proc/coo-llm.log", "No such file")],
)
async def test_a_log_that_cannot_be_written(tmp_path: Path, path: str, reason: str) -> None:
    (tmp_path / "file").write_text("")
    listen = "server: {listen: '127.0.0.1:0'}\n"
    (tmp_path / "c.yaml").write_text(f"{ECHO}{listen}logging: {{file: {{path: {path}}}}}\n")
    done = await coo_llm("-c", "c.yaml", folder=tmp_path)
    assert done.code == 1
    assert done.err.startswith("log sink file: ")
    assert reason in done.err
    assert path in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("setting", "section"),
    [
        ("storage.journal", "storage: {config: {type: file}, journal: file/journal}"),
        ("storage.runtime", "storage: {config: {type: file}, runtime: {type: file, path: file/db}}"),
        ("storage.config", "storage: {config: {type: file, path: file/config.json}}"),
        ("logging.audit.path", "storage: {config: {type: file}}\nlogging: {audit: {path: file/audit}}"),
    ],
)
async def test_state_that_cannot_be_written(tmp_path: Path, setting: str, section: str, workers: int) -> None:
    (tmp_path / "file").write_text("")
    server = f"server: {{listen: '127.0.0.1:0', admin_api_key: 0123456789abcdef, workers: {workers}}}\n"
    (tmp_path / "c.yaml").write_text(f"{ECHO}{server}{section}\n")
    (tmp_path / "c.yaml").chmod(0o600)
    done = await coo_llm("-c", "c.yaml", folder=tmp_path)
    assert done.code == 1
    assert [line for line in done.err.splitlines() if "Errno" in line or "Traceback" in line] == []
    said = done.err.splitlines()[-1].removeprefix("cannot start: ")
    named, path, reason = said.split(": ")
    assert named == setting
    assert (tmp_path / path).is_relative_to(tmp_path / "file")
    assert reason in ("Not a directory", "File exists")


@pytest.mark.parametrize(
    "arguments", [(), ("--nonsense",), ("nonsense",), ("-c",), ("demo", "--port", "x"), ("audit",)]
)
async def test_wrong_usage(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = await coo_llm(*arguments, folder=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.err


async def test_from_init_to_serving(tmp_path: Path) -> None:
    done = await coo_llm("init", "new.yaml", folder=tmp_path)
    assert (done.code, done.err) == (0, "")
    path = tmp_path / "new.yaml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert (await coo_llm("init", "new.yaml", folder=tmp_path)).code == 1
    assert path.read_text() == text
    done = await coo_llm("check", "new.yaml", folder=tmp_path)
    assert (done.code, done.err) == (0, "")
    async with Daemon(yaml.safe_load(text), tmp_path) as daemon:
        assert await daemon.ready()


async def test_hash_password(tmp_path: Path) -> None:
    done = await coo_llm("hash-password", folder=tmp_path, stdin="open sesame\n")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("$argon2id$")
    assert "sesame" not in done.out


async def test_plugins(tmp_path: Path) -> None:
    """With one that does not import, as installed beside the others."""
    env = installed(
        tmp_path,
        "[coo_llm.providers]\nacme = acme_provider:Acme\n",
        acme_provider="import a_module_that_is_not_there\n",
    )
    done = await coo_llm("plugins", folder=tmp_path, env=env)
    assert (done.code, done.err) == (0, "")
    lines = [line.split() for line in done.out.splitlines()]
    assert ["providers", "openai", "coo-llm", __version__] in lines
    [broken] = [line for line in done.out.splitlines() if " acme " in line]
    assert "coo-acme 0.1" in broken
    assert "FAILED" in broken
    assert "ModuleNotFoundError: No module named 'a_module_that_is_not_there'" in broken
    (tmp_path / "c.yaml").write_text(ECHO)
    assert (await coo_llm("check", "c.yaml", folder=tmp_path, env=env)).code == 0
    (tmp_path / "c.yaml").write_text("llm_providers: [{type: acme}]\n")
    refused = await coo_llm("check", "c.yaml", folder=tmp_path, env=env)
    assert refused.code == 1
    assert refused.err.startswith("llm_providers.0: the plugin 'acme' fails to import: ModuleNotFoundError")
    assert len(refused.err.splitlines()) == 1


async def test_plugins_of_one_name(tmp_path: Path) -> None:
    """The gateway's own counts, else that of the distribution whose name comes first."""
    module = "from dataclasses import dataclass\n@dataclass\nclass Acme:\n    bogus: int = 0\n"
    points = "[coo_llm.providers]\nopenai = {0}:Acme\nacme = {0}:Acme\n"
    env: dict[str, str] = {}
    for name in ("zcoo-acme", "a-coo-acme", "Coo_Acme"):
        module_name = name.replace("-", "_").lower()
        env = installed(tmp_path, points.format(module_name), name, **{module_name: module})
    done = await coo_llm("plugins", folder=tmp_path, env=env)
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    own = "IGNORED: coo-llm has one of this name, and the gateway's own counts"
    first = "IGNORED: a-coo-acme has one of this name, and the first by distribution counts"
    assert [line for line in lines if line.startswith("providers openai ")] == [
        f"providers openai coo-llm {__version__}",
        f"providers openai a-coo-acme 0.1 {own}",
        f"providers openai Coo_Acme 0.1 {own}",
        f"providers openai zcoo-acme 0.1 {own}",
    ]
    assert [line for line in lines if line.startswith("providers acme ")] == [
        "providers acme a-coo-acme 0.1",
        f"providers acme Coo_Acme 0.1 {first}",
        f"providers acme zcoo-acme 0.1 {first}",
    ]
    (tmp_path / "c.yaml").write_text("llm_providers: [{type: openai, api_keys: [k], model: m, bogus: 1}]\n")
    refused = await coo_llm("check", "c.yaml", folder=tmp_path, env=env)
    assert refused.err.startswith("llm_providers.0.bogus: 'openai' has no such setting")


async def test_version(tmp_path: Path) -> None:
    done = await coo_llm("--version", folder=tmp_path)
    assert (done.code, done.out, done.err) == (0, f"coo-llm {__version__}\n", "")
