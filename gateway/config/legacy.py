"""Older forms of the configuration, and types left out, brought into the present form."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from gateway.config.known import Known
from gateway.config.problems import Fault, Path

_TYPES = frozenset({"openai", "claude", "gemini", "custom", "echo"})
_HOSTS = {
    "api.openai.com": "openai",
    "api.anthropic.com": "claude",
    "generativelanguage.googleapis.com": "gemini",
}


@dataclass(slots=True)
class Modern:
    """What was changed in the values, in place."""

    faults: list[Fault] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    renamed: dict[Path, str] = field(default_factory=dict)
    """For each path that has a new name: the name it has in the file."""

    def origin(self, path: Path) -> Path:
        """The path as it is in the file."""
        return tuple(self.renamed.get(path[: i + 1], step) for i, step in enumerate(path))

    def rename(self, parent: Any, at: Path, old: str, new: str) -> bool:
        """Give ``parent[old]`` its new name; whether it was there."""
        if not isinstance(parent, dict) or old not in parent:
            return False
        if new in parent:
            self.faults.append(Fault((*at, old), f"is the older name of {new}, which is here too: keep one"))
            del parent[old]
        else:
            parent[new] = parent.pop(old)
            self.renamed[(*at, new)] = old
        return True


def modernise(root: dict[str, Any], known: Known | None) -> Modern:
    """Rename what has another name today and fill in the providers' types where they can be told."""
    modern = Modern()
    if modern.rename(root, (), "providers", "llm_providers"):
        modern.warnings.append(
            "providers: is the older form of llm_providers (with type and api_keys: [{key: …}]); "
            "it is still read, please change it"
        )
        _rename_keys(root.get("llm_providers"), modern)
    if modern.rename(root.get("policy"), ("policy",), "strategy", "algorithm"):
        modern.warnings.append("policy.strategy: is now called algorithm; it is still read, please change it")
    types = _TYPES | known.providers if known else _TYPES
    for provider in _items(root.get("llm_providers")):
        if isinstance(provider, dict) and provider.get("type") is None and (kind := _infer(provider, types)):
            provider["type"] = kind
    return modern


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _rename_keys(providers: Any, modern: Modern) -> None:
    for i, provider in enumerate(_items(providers)):
        at = ("llm_providers", i)
        modern.rename(provider, at, "keys", "api_keys")
        if isinstance(provider, dict):
            for j, key in enumerate(_items(provider.get("api_keys"))):
                modern.rename(key, (*at, "api_keys", j), "secret", "key")


def _infer(provider: dict[str, Any], types: frozenset[str]) -> str | None:
    """By the id as a whole, by a well-known host, by how the id begins, or `custom` for any other address."""
    name, url = str(provider.get("id", "")), str(provider.get("base_url", ""))
    if name in types:
        return name
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    first = re.split(r"[-_.]", name, maxsplit=1)[0]
    return _HOSTS.get(host) or (first if first in types else None) or ("custom" if host else None)
