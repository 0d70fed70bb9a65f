"""A chat as a program to take along, with a place for the key: playground.js fills in what is asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

_CURL = Markup(
    """curl -N {base}/v1/chat/completions \\
  -H "authorization: Bearer $COO_LLM_KEY" \\
  -H "content-type: application/json" \\
  -d '<span data-body="curl">{body}</span>'"""
)
_PYTHON = Markup(
    """import os

from openai import OpenAI

client = OpenAI(base_url="{base}/v1", api_key=os.environ["COO_LLM_KEY"])
body = <span data-body="python">{body}</span>
for chunk in client.chat.completions.create(**body, stream=True):
    for choice in chunk.choices:
        print(choice.delta.content or "", end="", flush=True)"""
)


def curl(base: str, body: Mapping[str, Any]) -> Markup:
    """For a shell. ``base``: the gateway's address."""
    return _CURL.format(base=base, body=_json({**body, "stream": True}).replace("'", "'\\''"))


def python(base: str, body: Mapping[str, Any]) -> Markup:
    """For OpenAI's SDK; JSON without booleans and nulls is Python, too."""
    return _PYTHON.format(base=base, body=_json(body))


def _json(body: Mapping[str, Any]) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False)
