"""Gemini model names: the generation that decides what a request may hold, and the path they make."""

from __future__ import annotations

from urllib.parse import quote

LATEST = 3.0
_COLLECTIONS = ("models", "tunedModels")


def generation(model: str) -> float:
    """``gemini-2.5-pro`` is 2.5; an alias without a number is taken for `LATEST`; other families are 0."""
    family, _, rest = model.removeprefix("models/").partition("-")
    if family != "gemini":
        return 0.0
    version = rest.partition("-")[0]
    return float(version) if version.replace(".", "", 1).isdecimal() else LATEST


def resource(model: str) -> str:
    """The model's resource name: ``models/`` is put in front unless a collection is named."""
    return model if model.partition("/")[0] in _COLLECTIONS and "/" in model else f"models/{model}"


def path(model: str) -> str:
    """The resource name as URL path: whatever the name holds, it stays one segment below its collection."""
    collection, _, name = resource(model).partition("/")
    return f"{collection}/{quote(name, safe='')}"
