"""What makes a request for moderation, images, speech or a ranking valid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.request.checks import check_common, invalid, missing, wrong_type

_KINDS: Mapping[type, str] = {str: "a string", list: "an array", dict: "an object"}


def check_moderation(body: Mapping[str, Any]) -> None:
    """Raises `ApiError` unless ``body`` is a moderation request."""
    check_common(body)
    _check_given("input", body.get("input"), (str, list))


def check_image(body: Mapping[str, Any]) -> None:
    """Raises `ApiError` unless ``body`` asks for an image."""
    check_common(body)
    _check_given("prompt", body.get("prompt"), (str,))


def check_speech(body: Mapping[str, Any]) -> None:
    """Raises `ApiError` unless ``body`` asks for speech."""
    check_common(body)
    _check_given("input", body.get("input"), (str,))


def check_rerank(body: Mapping[str, Any]) -> None:
    """Raises `ApiError` unless ``body`` asks for documents to be ranked."""
    check_common(body)
    _check_given("query", body.get("query"), (str, dict))
    _check_given("documents", body.get("documents"), (list,))
    top = body.get("top_n")
    if top is not None and (type(top) is not int or top < 1):
        raise invalid("top_n", "must be a whole number from 1")


def _check_given(name: str, value: Any, kinds: tuple[type, ...]) -> None:
    """Raises `ApiError` unless there is a value, of one of these kinds, and something in it."""
    if value is None:
        raise missing(name)
    if not isinstance(value, kinds):
        raise wrong_type(name, " or ".join(_KINDS[kind] for kind in kinds), value)
    if not value:
        raise invalid(name, "must not be empty")
