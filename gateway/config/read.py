"""Reading the configuration file: values, older forms, models, checks; every error at once."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError

from gateway.config.cautions import literal_secrets, warnings
from gateway.config.checks import check, draft
from gateway.config.document import MAX_BYTES, Document, parse
from gateway.config.faults import explain
from gateway.config.known import Known
from gateway.config.legacy import Modern, modernise
from gateway.config.managed import Managed
from gateway.config.masked import revealed
from gateway.config.problems import ConfigError, Fault, Problem, render, steps
from gateway.config.roster import KnownClient, roster
from gateway.config.schema import Config
from gateway.config.substitute import Substituted

__all__ = [
    "ConfigError",
    "Content",
    "Loaded",
    "Problem",
    "fetch",
    "fingerprint",
    "load",
    "read",
    "validate",
]

_MASTER_KEY = "COO_LLM_MASTER_KEY"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid configuration."""

    config: Config
    warnings: list[str]
    version: str
    """12 hex digits that change when, and only when, the effective configuration does."""
    digest: bytes
    """SHA-256 of the file's content, to tell whether it has changed since."""
    values: dict[str, Any] = field(default_factory=dict, repr=False)
    """What stands in the file, substituted, in the present form."""
    clients: Mapping[str, KnownClient] = field(default_factory=dict, repr=False)
    """Every client by id, also those made through the admin API."""
    managed: Managed | None = field(default=Managed(), repr=False)
    """What was made through the admin API; None: that could not be read, and nobody knows which clients
    there are."""
    refused: Sequence[Problem] = ()
    """Why what was read last is not in effect, where it is not: the last one that was valid is."""


class Content(NamedTuple):
    """A configuration file as it was read."""

    data: bytes
    mode: int
    """Its kind and permissions, as in `os.stat_result.st_mode`."""

    @property
    def lasts(self) -> bool:
        """Whether it can be read again: a pipe, as of a shell's ``<(…)``, cannot."""
        return stat.S_ISREG(self.mode)


def read(
    path: str | os.PathLike[str], environ: Mapping[str, str] = os.environ, known: Known | None = None
) -> Loaded:
    """Read, substitute and validate the file at ``path``.

    ``known`` names the plugins there are; without it the names of plugins are not checked.
    Raises `ConfigError` with everything that is wrong.
    """
    return load(fetch(path), environ, known)


def load(content: Content, environ: Mapping[str, str], known: Known | None) -> Loaded:
    """As `read`, of a file that was read already."""
    data, mode = content
    document = parse(data, environ)
    if not isinstance(document.value, dict):
        raise ConfigError([*document.problems, Problem("", 1, "the file must hold a mapping (name: value)")])
    _master_key(document.value, environ)
    modern = modernise(document.value, known)
    config = _validated(document, modern, known)
    cautions = [*modern.warnings, *warnings(config)]
    if mode & stat.S_IROTH and (secrets := literal_secrets(config, data.decode())):
        cautions.append(
            f"the file is readable by everyone and holds {', '.join(secrets)}: chmod 600, or use ${{…}}"
        )
    clients, _ = roster(config, document.value, Managed(), {})
    return Loaded(config, cautions, fingerprint(config), sha256(data).digest(), document.value, clients)


def fingerprint(config: Config) -> str:
    """The version of a configuration: the same for the same effective settings, however written."""
    return sha256(orjson.dumps(revealed(config), option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]


def fetch(path: str | os.PathLike[str]) -> Content:
    """The file as it is now. Raises `ConfigError` if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return Content(file.read(MAX_BYTES + 1), os.fstat(file.fileno()).st_mode)
    except OSError as error:
        reason = error.strerror or str(error)
    except ValueError:
        reason = "not a path"
    raise ConfigError([Problem("", None, f"cannot read {path}: {reason}")])


def _master_key(root: dict[str, Any], environ: Mapping[str, str]) -> None:
    key = environ.get(_MASTER_KEY)
    storage = root.setdefault("storage", {}) if key else None
    if isinstance(storage, dict) and storage.get("master_key") is None:
        storage["master_key"] = Substituted(key)


def validate(values: dict[str, Any], known: Known | None) -> Config:
    """A configuration from values that are not in a file as they are. Raises `ConfigError`."""
    return _validated(Document(values), Modern(), known)


def _validated(document: Document, modern: Modern, known: Known | None) -> Config:
    faults = list(modern.faults)
    config: Config | None = None
    try:
        config = Config.model_validate(document.value)
    except ValidationError as error:
        faults += explain(error, document.value)
    found = draft(document.value)
    faults += check(found, known)
    if known:
        faults += (Fault(steps(one.path), one.message, one.got) for one in known.refused(found))
    problems = _merge(document, modern, faults)
    if config is None or problems:
        raise ConfigError(problems)
    return config


def _merge(document: Document, modern: Modern, faults: Iterable[Fault]) -> list[Problem]:
    """All problems in the order of the file; of what is broken already nothing further is said."""
    problems = list(document.problems)
    for fault in faults:
        path = modern.origin(fault.path)
        where = render(path)
        if not _broken(where, problems):
            problems.append(Problem(where, document.line(path), fault.message, fault.got))
    return sorted(problems, key=lambda problem: problem.line or 0)


def _broken(where: str, problems: Iterable[Problem]) -> bool:
    """Whether there is a problem at ``where`` or within."""
    return any(f"{problem.path}.".startswith(f"{where}.") for problem in problems)
