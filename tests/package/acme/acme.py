"""Somebody else's provider."""

from __future__ import annotations

from dataclasses import dataclass

from gateway_providers.echo import Echo


@dataclass(frozen=True, slots=True)
class Acme(Echo):
    """An echo that says who it is."""

    reply: str = "acme says: {message}"
