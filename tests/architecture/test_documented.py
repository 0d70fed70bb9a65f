"""Whatever a user can meet is documented: settings, metrics, error codes, plugins, record fields."""

from __future__ import annotations

import configparser
import dataclasses
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib.metadata import entry_points
from pathlib import Path
from typing import get_args

import docutils.core
import pytest
from pydantic import BaseModel

from gateway.api import Record
from gateway.api.errors import ERRORS
from gateway.config.schema import Config
from gateway.metrics import Metrics

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def document(name: str) -> str:
    return (DOCS / name).read_text()


def settings(model: type[BaseModel], seen: set[type]) -> Iterator[str]:
    """The names of all fields of a section and the sections in it."""
    if model in seen:
        return
    seen.add(model)
    for name, field in model.model_fields.items():
        yield name
        todo: list[object] = [field.annotation]
        while todo:
            kind = todo.pop()
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from settings(kind, seen)
            todo.extend(get_args(kind))


@pytest.mark.parametrize("name", sorted(set(settings(Config, set())) - {"settings"}))
def test_every_setting(name: str) -> None:
    assert re.search(rf"\b{name}\b", document("configuration.rst"))


@pytest.mark.parametrize("code", ERRORS)
def test_every_error_code(code: str) -> None:
    status = ERRORS[code][0]
    assert re.search(rf"^``{code}``\s+{status}\s", document("api.rst"), re.MULTILINE)


def test_every_metric() -> None:
    text = document("metrics.rst")
    names = set(re.findall(r"^# TYPE (coo_llm_\w+)", Metrics("test").render().decode(), re.MULTILINE))
    assert names
    assert {name for name in names if name not in text} == set()


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Record)])
def test_every_field_of_the_usage_record(name: str) -> None:
    assert f"``{name}``" in document("logs.rst")


@pytest.mark.parametrize("group", ["providers", "stores", "log_sinks", "algorithms"])
def test_every_plugin(group: str) -> None:
    text = "".join(path.read_text() for path in DOCS.rglob("*.rst"))
    for point in entry_points(group=f"coo_llm.{group}"):
        assert f"``{point.name}``" in text, f"{group}: {point.name}"


def test_every_setting_of_a_provider() -> None:
    for point in entry_points(group="coo_llm.providers"):
        page = DOCS / "providers" / f"{point.name}.rst"
        # a preset's settings are those of custom
        text = page.read_text() if page.exists() else document("providers/custom.rst")
        for field in dataclasses.fields(point.load()):
            if field.init:
                assert f"``{field.name}``" in text, f"{point.name}: {field.name}"


def test_every_package_is_shipped() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    there = {
        ".".join(path.parent.relative_to(base).parts)
        for base in (ROOT, ROOT / "plugins")
        for path in base.glob("gateway*/**/__init__.py")
    }
    assert there == listed


@pytest.mark.parametrize(
    ("section", "folder"),
    [
        ("Design", "gateway"),
        ("The path of a request", "gateway/request"),
        ("Stores", "plugins/gateway_stores"),
        ("Windows", "plugins/gateway_stores/windows"),
    ],
)
def test_every_module_has_its_place_in_the_design(section: str, folder: str) -> None:
    sections = re.split(r"\n\n(?=.+\n--+\n)", document("design.rst"))
    (text,) = [text for text in sections if text.startswith(f"{section}\n")]
    names = re.findall(r"(?<![\w*/])[\w*]+(?:\.py|\.lua|/)", text)
    here = ROOT / folder
    there = [path.name for path in here.iterdir() if path.suffix in (".py", ".lua") and path.name[0] != "_"]
    there += [f"{path.parent.name}/" for path in here.glob("*/__init__.py")]
    assert [name for name in there if not any(fnmatch(name, known) for known in names)] == []
    assert [name for name in names if not name.endswith("/") and not list(here.glob(name))] == []


def test_every_dependency_has_its_reason_in_the_readme() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    readme = (ROOT / "README.rst").read_text()
    for line in config["options"]["install_requires"].split("\n"):
        if line:
            assert re.search(rf"^{line.split()[0]}\s", readme, re.MULTILINE), line


def test_documents_are_valid_and_name_files_that_exist() -> None:
    for path in [ROOT / "README.rst", ROOT / "CHANGELOG.rst", *DOCS.rglob("*.rst")]:
        text = path.read_text()
        strict = {"halt_level": 2, "report_level": 5}
        docutils.core.publish_doctree(text, source_path=str(path), settings_overrides=strict)
        for name in re.findall(r"``((?:docs|etc|tests|gateway|plugins)/[\w./-]+)``", text):
            assert (ROOT / name).exists(), f"{path.name}: {name}"
