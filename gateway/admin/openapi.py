"""The OpenAPI document of the admin API."""

from __future__ import annotations

import asyncio
from functools import cache
from importlib import resources

import orjson
import yaml
from aiohttp import web


@cache
def document() -> bytes:
    """The document as JSON."""
    text = resources.files(__package__).joinpath("openapi.yaml").read_text()
    return orjson.dumps(yaml.safe_load(text))


async def get_document(request: web.Request) -> web.Response:
    """The document, as this version serves the API."""
    return web.Response(body=await asyncio.to_thread(document), content_type="application/json")


routes = (web.get("/v1/openapi.json", get_document),)
