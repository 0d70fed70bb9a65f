"""``${VAR}``, ``${VAR:-default}``, ``${file:PATH}`` and ``$$`` inside the strings of a configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAX_NESTING = 8
_MAX_FILE = 64 * 1024


class Substituted(str):
    """Text that came by substitution: it may be read as any type, and is never shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'…'"


class SubstitutionError(ValueError):
    """A reference that leads nowhere; the message names it."""


def expand(text: str, environ: Mapping[str, str]) -> str:
    """The text with its references replaced; a `Substituted` if there were any.

    What is put in is not looked at again. Names inside ``file:`` and defaults may hold references too.
    Raises `SubstitutionError`.
    """
    if "$" not in text:
        return text
    expanded, found = _expand(text, environ, 0)
    return Substituted(expanded) if found else expanded


def _expand(text: str, environ: Mapping[str, str], depth: int) -> tuple[str, bool]:
    if depth > _MAX_NESTING:
        raise SubstitutionError(f"references are nested more than {_MAX_NESTING} deep")
    parts: list[str] = []
    found = False
    at = 0
    while (dollar := text.find("$", at)) >= 0:
        parts.append(text[at:dollar])
        follows = text[dollar + 1 : dollar + 2]
        if follows == "{":
            end = _closing(text, dollar + 2)
            parts.append(_resolve(text[dollar + 2 : end], environ, depth))
            found = True
            at = end + 1
        else:
            parts.append("$")
            at = dollar + (2 if follows == "$" else 1)
    parts.append(text[at:])
    return "".join(parts), found


def _closing(text: str, start: int) -> int:
    """The index of the brace that closes the reference whose inside begins at ``start``."""
    depth = 1
    at = start
    while at < len(text):
        if text.startswith("${", at):
            depth += 1
            at += 1
        elif text[at] == "}":
            depth -= 1
            if depth == 0:
                return at
        at += 1
    raise SubstitutionError("a ${ is never closed; write $$ for a dollar sign")


def _resolve(reference: str, environ: Mapping[str, str], depth: int) -> str:
    if reference.startswith("file:"):
        return _file(_expand(reference.removeprefix("file:"), environ, depth + 1)[0])
    name, has_default, default = reference.partition(":-")
    if not _NAME.fullmatch(name):
        raise SubstitutionError("${…} must hold a variable's name, NAME:-default or file:PATH")
    value = environ.get(name)
    if has_default:
        return value or _expand(default, environ, depth + 1)[0]
    if value is None:
        raise SubstitutionError(f"the environment variable {name} is not set")
    return value


def _file(path: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_FILE + 1)
        text = data.decode()
    except OSError as error:
        raise SubstitutionError(f"cannot read the file {path}: {error.strerror}") from None
    except ValueError:  # not UTF-8, or a NUL in the path
        raise SubstitutionError(f"the file {path} does not hold UTF-8 text") from None
    if len(data) > _MAX_FILE:
        raise SubstitutionError(f"the file {path} is larger than {_MAX_FILE} bytes")
    return text.removesuffix("\n").removesuffix("\r")
