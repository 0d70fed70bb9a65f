"""What clients speak, by the path that they ask for."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.dialects import openai_client
from gateway.dialects.client import ClientDialect
from gateway.dialects.messages.inbound import client as anthropic_client

_DIALECTS: Mapping[str, ClientDialect] = {"/v1/messages": anthropic_client.MESSAGES}
"""What clients speak at a path, and below it, if it is not OpenAI's chat."""


def dialect_at(path: str) -> ClientDialect:
    """The dialect of whoever sent a request to ``path``, which may be none of ours."""
    path = path.removeprefix("/api")
    for root, dialect in _DIALECTS.items():
        if path == root or path.startswith(f"{root}/"):
            return dialect
    return openai_client.CHAT
