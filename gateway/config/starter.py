"""The configuration that ``coo-llm init`` writes."""

from __future__ import annotations

import secrets
from importlib.resources import files

_KEY_BYTES = 24


def starter() -> str:
    """A commented configuration that runs as it is, with keys of its own (192 bits each)."""
    template = files("gateway.config").joinpath("starter.yaml").read_text("utf-8")
    admin, client = (secrets.token_urlsafe(_KEY_BYTES) for _ in range(2))
    return template.replace("@ADMIN_KEY@", f"coo-{admin}").replace("@CLIENT_KEY@", f"sk-coo-{client}")
